"""Docker's endpoints about volumes."""

from __future__ import annotations

from aiohttp import web

from orchestrator.api.docker.requests import flag, json_body
from orchestrator.api.parts import Parts
from orchestrator.wire.volumes import volume_summary


class VolumeHandlers:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._nouns = parts.nouns

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/volumes", self.volumes),
            web.post("/volumes/create", self.create_volume),
            web.get("/volumes/{name}", self.volume),
            web.delete("/volumes/{name}", self.remove_volume),
        ]

    async def volumes(self, _request: web.Request) -> web.Response:
        shown = [volume_summary(v) for v in self._nouns.volumes.all()]
        return web.json_response({"Volumes": shown, "Warnings": []})

    async def volume(self, request: web.Request) -> web.Response:
        return web.json_response(
            volume_summary(self._nouns.volumes.get(request.match_info["name"]))
        )

    async def create_volume(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        made = await self._nouns.volumes.ensure(
            str(body.get("Name") or ""),
            driver=body.get("Driver") or "local",
            options=body.get("DriverOpts") or {},
            labels=body.get("Labels") or {},
        )
        return web.json_response(volume_summary(made), status=201)

    async def remove_volume(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        await self._nouns.volumes.remove(name, force=flag(request, "force"))
        return web.Response(status=204)
