"""Docker's endpoints about a container's streams: attach, logs, resize."""

from __future__ import annotations

import struct

import anyio
from aiohttp import web

from orchestrator.api.docker.requests import flag
from orchestrator.api.logs import container_lines
from orchestrator.api.parts import Parts
from orchestrator.api.streams import Hijacked, hijack
from orchestrator.errors import Conflict
from orchestrator.model.observed import Container
from orchestrator.runtime.attach import resize
from orchestrator.wire.times import timestamp

RAW = "application/vnd.docker.raw-stream"
FRAMED = "application/vnd.docker.multiplexed-stream"


class AttachHandlers:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._containers = parts.nouns.containers

    def routes(self) -> list[web.RouteDef]:
        one = "/containers/{id}"
        return [
            web.get(one + "/logs", self.logs),
            web.post(one + "/resize", self.resize),
            web.post(one + "/attach", self.attach),
        ]

    def _get(self, request: web.Request) -> Container:
        return self._containers.get(request.match_info["id"])

    async def resize(self, request: web.Request) -> web.Response:
        container = self._get(request)
        place = self._parts.launcher.bundle(container).path
        resize(place, rows=int(request.query["h"]), columns=int(request.query["w"]))
        return web.Response(status=200)

    async def logs(self, request: web.Request) -> web.StreamResponse:
        container = self._get(request)
        tail = request.query.get("tail") or "all"
        tty = container.spec.tty
        response = web.StreamResponse(headers={"Content-Type": RAW if tty else FRAMED})
        await response.prepare(request)
        async for line in container_lines(
            self._parts,
            container,
            lines=int(tail) if tail.isdigit() else None,
            since=float(request.query.get("since") or 0),
            following=flag(request, "follow"),
        ):
            text = line.text + b"\n"
            if flag(request, "timestamps"):
                text = timestamp(line.time).encode() + b" " + text
            number = 2 if line.stream in (2, "stderr") else 1
            if flag(request, "stdout" if number == 1 else "stderr"):
                await response.write(text if tty else frame(number, text))
        await response.write_eof()
        return response

    async def attach(self, request: web.Request) -> web.StreamResponse:
        container = self._get(request)
        if container.state.status not in ("created", "exited", "running"):
            raise Conflict(
                f"container {container.name} is {container.state.status}",
                code="container-not-attachable",
                about=container.name,
                hint="wait until it runs",
            )
        tty = container.spec.tty
        wants_input = flag(request, "stdin") and container.spec.stdin_open
        async with hijack(request, RAW if tty else FRAMED) as client:
            await self._joined(container, client, tty=tty, wants_input=wants_input)
        return web.Response()

    async def _joined(
        self, container: Container, client: Hijacked, *, tty: bool, wants_input: bool
    ) -> None:
        bundle = self._parts.launcher.bundle(container)
        async with self._containers.attached(container.id, bundle) as session:
            if session is None:
                return

            async def send_input() -> None:
                async for data in client.received():
                    await session.write(data)
                session.end_input()

            async with anyio.create_task_group() as tasks:
                if wants_input:
                    tasks.start_soon(send_input)
                async for number, data in session.output():
                    client.write(data if tty else frame(number, data))
                    await client.drain()
                tasks.cancel_scope.cancel()


def frame(stream: int, data: bytes) -> bytes:
    """The data with Docker's 8-byte header.  Source: Engine API reference, "ContainerAttach"."""
    return struct.pack(">BxxxL", stream, len(data)) + data
