"""Docker's endpoints about the engine itself: ping, version, info, events."""

from __future__ import annotations

import os
import platform
import time

import msgspec
from aiohttp import web

from orchestrator import __version__
from orchestrator.api.parts import Parts
from orchestrator.api.streams import json_lines
from orchestrator.runtime.host import read_host, security_options
from orchestrator.wire.events import event_message

API_VERSION = "1.45"
MIN_API_VERSION = "1.24"


class SystemHandlers:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/_ping", self.ping),
            web.get("/version", self.version),
            web.get("/info", self.info),
            web.get("/events", self.events),
        ]

    async def ping(self, _request: web.Request) -> web.Response:
        return web.Response(text="OK", headers={"Api-Version": API_VERSION, "Ostype": "linux"})

    async def version(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "Version": __version__,
                "ApiVersion": API_VERSION,
                "MinAPIVersion": MIN_API_VERSION,
                "Os": "linux",
                "Arch": _architecture(),
                "KernelVersion": platform.release(),
                "PythonVersion": platform.python_version(),
            }
        )

    async def info(self, _request: web.Request) -> web.Response:
        parts = self._parts
        containers = parts.nouns.containers.all()
        runtime = parts.runtime
        return web.json_response(
            {
                "ServerVersion": __version__,
                "Containers": len(containers),
                "ContainersRunning": sum(c.state.status == "running" for c in containers),
                "ContainersPaused": sum(c.state.status == "paused" for c in containers),
                "ContainersStopped": sum(not c.running for c in containers),
                "Images": len(parts.nouns.images.all()),
                "Stacks": len(list(parts.controller.records())),
                "Driver": "overlay2",
                "DefaultRuntime": runtime.name,
                "RuntimePath": runtime.path,
                "RuntimeVersion": runtime.version,
                "RuntimeReason": runtime.reason,
                "RuntimesRefused": list(runtime.refused),
                "CgroupDriver": "cgroupfs",
                "CgroupVersion": "2" if parts.cgroup_layout == "v2" else "1",
                "CgroupLayout": parts.cgroup_layout,
                "SecurityOptions": security_options(read_host()),
                "DockerRootDir": str(parts.settings.data_dir),
                "RunDir": str(parts.settings.run_dir),
                "Socket": str(parts.settings.socket),
                "LogFile": str(parts.settings.log_file),
                "KernelVersion": platform.release(),
                "OSType": "linux",
                "Architecture": platform.machine(),
                "NCPU": os.cpu_count(),
                "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
                "Name": platform.node(),
                "Warnings": list(await parts.nouns.networks.obstacles()),
            }
        )

    async def events(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        since, until = query.get("since"), query.get("until")
        kinds = msgspec.json.decode(query.get("filters") or "{}").get("type") or []
        end = float(until) if until else None
        with self._parts.events.live.subscribe() as live:
            async with json_lines(request) as lines:
                if since is not None:
                    past = self._parts.events.log.between(float(since), end or time.time())
                    for event in list(past):
                        if not kinds or event.type in kinds:
                            await lines.send(event_message(event))
                if end is None:
                    async for event in live:
                        if not kinds or event.type in kinds:
                            await lines.send(event_message(event))
            return lines.response


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
