"""Docker's endpoints about networks."""

from __future__ import annotations

from aiohttp import web

from orchestrator.api.docker.requests import json_body
from orchestrator.api.parts import Parts
from orchestrator.wire.networks import network_summary


class NetworkHandlers:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._nouns = parts.nouns

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/networks", self.networks),
            web.post("/networks/create", self.create_network),
            web.get("/networks/{name}", self.network),
            web.delete("/networks/{name}", self.remove_network),
        ]

    async def networks(self, _request: web.Request) -> web.Response:
        containers = self._nouns.containers.all()
        return web.json_response(
            [network_summary(n, containers) for n in self._nouns.networks.list()]
        )

    async def network(self, request: web.Request) -> web.Response:
        found = self._nouns.networks.get(request.match_info["name"])
        return web.json_response(network_summary(found, self._nouns.containers.all()))

    async def create_network(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        config = ((body.get("IPAM") or {}).get("Config") or [{}])[0]
        made = await self._nouns.networks.create(
            str(body.get("Name") or ""),
            driver=body.get("Driver") or "bridge",
            subnet=config.get("Subnet") or "",
            gateway=config.get("Gateway") or "",
            ip_range=config.get("IPRange") or "",
            internal=bool(body.get("Internal")),
            options=body.get("Options") or {},
            labels=body.get("Labels") or {},
        )
        return web.json_response({"Id": made.id, "Warning": ""}, status=201)

    async def remove_network(self, request: web.Request) -> web.Response:
        await self._nouns.networks.remove(request.match_info["name"])
        return web.Response(status=204)
