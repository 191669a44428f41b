"""Docker's endpoints about networks."""

from __future__ import annotations

import time

from aiohttp import web

from orchestrator.api.docker import network_filters
from orchestrator.api.docker.requests import json_body
from orchestrator.api.parts import Parts
from orchestrator.errors import InvalidInput
from orchestrator.wire.create import attachment_from
from orchestrator.wire.filters import Filters
from orchestrator.wire.networks import network_from, network_summary


class NetworkHandlers:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._networks = parts.nouns.networks
        self._connections = parts.nouns.connections

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/networks", self.index),
            web.post("/networks/create", self.create),
            web.post("/networks/prune", self.prune),
            web.get("/networks/{name}", self.inspect),
            web.delete("/networks/{name}", self.remove),
            web.post("/networks/{name}/connect", self.connect),
            web.post("/networks/{name}/disconnect", self.disconnect),
        ]

    async def index(self, request: web.Request) -> web.Response:
        filters = Filters.parse(request.query.get("filters", ""), network_filters.LISTING)
        wanted = network_filters.listed(filters, lambda n: bool(self._networks.users(n)))
        return web.json_response([network_summary(n) for n in self._networks.list() if wanted(n)])

    async def inspect(self, request: web.Request) -> web.Response:
        network = self._networks.get(request.match_info["name"])
        return web.json_response(network_summary(network, self._parts.nouns.containers.all()))

    async def create(self, request: web.Request) -> web.Response:
        wish = network_from(await json_body(request))
        first = wish.subnets[0] if wish.subnets else None
        six = wish.ipv6_subnet
        made = await self._networks.create(
            wish.name,
            driver=wish.driver,
            subnet=first.subnet if first else "",
            gateway=first.gateway if first else "",
            ip_range=first.ip_range if first else "",
            more_subnets=wish.subnets[1:],
            internal=wish.internal,
            attachable=wish.attachable,
            ipv6=wish.ipv6,
            ipv6_subnet=six.subnet if six else "",
            ipv6_gateway=six.gateway if six else "",
            ipv6_range=six.ip_range if six else "",
            aux_addresses=wish.aux_addresses,
            options=wish.options,
            labels=wish.labels,
        )
        return web.json_response({"Id": made.id, "Warning": ""}, status=201)

    async def prune(self, request: web.Request) -> web.Response:
        filters = Filters.parse(request.query.get("filters", ""), network_filters.PRUNING)
        wanted = network_filters.pruned(filters, time.time())
        removed = list(await self._networks.prune(wanted))
        self._parts.events.tell("network", "prune", "", {"reclaimed": "0"})
        return web.json_response({"NetworksDeleted": removed or None})

    async def remove(self, request: web.Request) -> web.Response:
        await self._networks.remove(request.match_info["name"])
        return web.Response(status=204)

    async def connect(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        settings = body.get("EndpointConfig") or {}
        network = self._networks.get(request.match_info["name"])
        await self._connections.connect(_container(body), attachment_from(network.id, settings))
        return web.Response(status=200)

    async def disconnect(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        name = request.match_info["name"]
        await self._connections.disconnect(name, _container(body), force=bool(body.get("Force")))
        return web.Response(status=200)


def _container(body: dict[str, object]) -> str:
    name = body.get("Container")
    if not isinstance(name, str) or not name:
        raise InvalidInput(
            "no container is named",
            code="bad-request",
            about="Container",
            hint="name the container, by name or id",
        )
    return name
