"""Docker's endpoints about containers: listing, making, starting, ending, removing."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from orchestrator.api.docker.requests import flag, grace, json_body
from orchestrator.api.parts import Parts
from orchestrator.model.ids import new_id, short_id
from orchestrator.model.observed import Container
from orchestrator.wire.containers import container_inspect, container_summary
from orchestrator.wire.create import spec_from_create


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
            web.post(one + "/start", self.start),
            web.post(one + "/stop", self.stop),
            web.post(one + "/restart", self.restart),
            web.post(one + "/kill", self.kill),
            web.post(one + "/wait", self.wait),
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

    async def remove(self, request: web.Request) -> web.Response:
        await self._containers.remove(
            self._get(request).id, force=flag(request, "force"), volumes=flag(request, "v")
        )
        return web.Response(status=204)


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
