"""Docker's endpoints about containers."""

from __future__ import annotations

import struct
from typing import Any

import anyio
import msgspec
from aiohttp import web

from orchestrator.api.logs import container_lines
from orchestrator.api.parts import Parts
from orchestrator.api.streams import Hijacked, hijack
from orchestrator.errors import Conflict, InvalidInput
from orchestrator.model.ids import new_id, short_id
from orchestrator.model.observed import Container
from orchestrator.runtime.attach import resize
from orchestrator.wire.docker import (
    container_inspect,
    container_summary,
    spec_from_create,
    timestamp,
)

_RAW = "application/vnd.docker.raw-stream"
_FRAMED = "application/vnd.docker.multiplexed-stream"


class ContainerHandlers:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._containers = parts.nouns.containers

    def routes(self) -> list[web.RouteDef]:
        one = "/containers/{id}"
        return [
            web.get("/containers/json", self.index),
            web.post("/containers/create", self.create),
            web.get(one + "/json", self.inspect),
            web.get(one + "/logs", self.logs),
            web.post(one + "/start", self.start),
            web.post(one + "/stop", self.stop),
            web.post(one + "/restart", self.restart),
            web.post(one + "/kill", self.kill),
            web.post(one + "/wait", self.wait),
            web.post(one + "/resize", self.resize),
            web.post(one + "/attach", self.attach),
            web.delete(one, self.remove),
        ]

    def _get(self, request: web.Request) -> Container:
        return self._containers.get(request.match_info["id"])

    async def index(self, request: web.Request) -> web.Response:
        every = flag(request, "all")
        filters = msgspec.json.decode(request.query.get("filters") or "{}")
        images = self._parts.nouns.images
        shown = [
            container_summary(c, images.find(c.image_id))
            for c in self._containers.all()
            if (every or c.running or "status" in filters) and _matches(c, filters)
        ]
        return web.json_response(shown)

    async def create(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        spec = spec_from_create(body)
        if not spec.network_mode and any(a.network == "bridge" for a in spec.attachments):
            await self._parts.nouns.networks.ensure_default()
        name = request.query.get("name") or f"c-{short_id(new_id())}"
        remove = bool((body.get("HostConfig") or {}).get("AutoRemove"))
        made = await self._containers.create(spec, name, auto_remove=remove)
        return web.json_response({"Id": made.id, "Warnings": []}, status=201)

    async def inspect(self, request: web.Request) -> web.Response:
        container = self._get(request)
        image = self._parts.nouns.images.find(container.image_id)
        log_path = str(self._parts.launcher.bundle(container).log_path)
        return web.json_response(container_inspect(container, image, log_path))

    async def start(self, request: web.Request) -> web.Response:
        container = self._get(request)
        if container.running:
            return web.Response(status=304)
        await self._containers.start(container.id)
        return web.Response(status=204)

    async def stop(self, request: web.Request) -> web.Response:
        container = self._get(request)
        if not container.running and container.state.status != "restarting":
            return web.Response(status=304)
        await self._containers.stop(container.id, grace(request))
        return web.Response(status=204)

    async def restart(self, request: web.Request) -> web.Response:
        await self._containers.restart(self._get(request).id, grace(request))
        return web.Response(status=204)

    async def kill(self, request: web.Request) -> web.Response:
        await self._containers.kill(self._get(request).id, request.query.get("signal") or "KILL")
        return web.Response(status=204)

    async def wait(self, request: web.Request) -> web.StreamResponse:
        container = self._get(request)
        condition = request.query.get("condition") or "not-running"
        # The head goes out before the wait, so that a client knows that its wait is registered.
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        code = await self._containers.wait_for(container.id, condition)
        await response.write(msgspec.json.encode({"StatusCode": code}))
        await response.write_eof()
        return response

    async def resize(self, request: web.Request) -> web.Response:
        container = self._get(request)
        place = self._parts.launcher.bundle(container).path
        resize(place, rows=int(request.query["h"]), columns=int(request.query["w"]))
        return web.Response(status=200)

    async def remove(self, request: web.Request) -> web.Response:
        await self._containers.remove(
            self._get(request).id, force=flag(request, "force"), volumes=flag(request, "v")
        )
        return web.Response(status=204)

    async def logs(self, request: web.Request) -> web.StreamResponse:
        container = self._get(request)
        tail = request.query.get("tail") or "all"
        tty = container.spec.tty
        response = web.StreamResponse(headers={"Content-Type": _RAW if tty else _FRAMED})
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
        async with hijack(request, _RAW if tty else _FRAMED) as client:
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


def flag(request: web.Request, name: str) -> bool:
    """Whether a query parameter says yes."""
    return request.query.get(name, "").lower() in ("1", "true", "yes")


def grace(request: web.Request) -> float | None:
    """The seconds in the query's `t`, None where it has none."""
    text = request.query.get("t")
    return float(text) if text else None


async def json_body(request: web.Request) -> dict[str, Any]:
    """The request's JSON object.  Raises: InvalidInput."""
    try:
        body = msgspec.json.decode(await request.read() or b"{}")
    except msgspec.DecodeError as error:
        raise InvalidInput(
            f"the request's body is not JSON: {error}",
            code="bad-request",
            about="body",
            hint="send a JSON object",
        ) from error
    if not isinstance(body, dict):
        raise InvalidInput(
            "the request's body is not a JSON object",
            code="bad-request",
            about="body",
            hint="send a JSON object",
        )
    return body


def _matches(container: Container, filters: dict[str, Any]) -> bool:
    for wanted in filters.get("label", ()):
        key, equals, value = wanted.partition("=")
        if key not in container.spec.labels or (equals and container.spec.labels[key] != value):
            return False
    statuses, names, ids = (filters.get(k) or [] for k in ("status", "name", "id"))
    return (
        (not statuses or container.state.status in statuses)
        and (not names or any(n.removeprefix("/") in container.name for n in names))
        and (not ids or any(container.id.startswith(i) for i in ids))
    )
