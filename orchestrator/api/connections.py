"""Our own endpoints about a container's ports: publishing while it runs, and who gets what of a
port that several share."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from orchestrator.api.docker.requests import json_body
from orchestrator.api.parts import Parts
from orchestrator.engine.publishing import PublishedPort
from orchestrator.errors import InvalidInput
from orchestrator.model.observed import Container
from orchestrator.wire.ports import port_map, ports_from

_PREFIX = "/pystack/v1"


class ConnectionHandlers:
    def __init__(self, parts: Parts) -> None:
        self._networks = parts.nouns.networks
        self._connections = parts.nouns.connections
        self._containers = parts.nouns.containers

    def routes(self) -> list[web.RouteDef]:
        one = _PREFIX + "/containers/{id}"
        return [
            web.get(_PREFIX + "/ports", self.ports),
            web.post(one + "/publish", self.publish),
            web.post(one + "/unpublish", self.unpublish),
            web.post(one + "/traffic", self.traffic),
            web.get(one + "/connections", self.connections),
        ]

    async def ports(self, _request: web.Request) -> web.Response:
        """Every published host port, its containers, and who gets new connections now."""
        names = {c.id: c.name for c in self._containers.all()}
        published = self._networks.publishing.published()
        return web.json_response([_port(one, names) for one in published])

    async def publish(self, request: web.Request) -> web.Response:
        """The container's ports, those in the body's PortBindings among them."""
        bindings = ports_from((await json_body(request)).get("PortBindings") or {})
        return _shown(await self._connections.publish(request.match_info["id"], bindings))

    async def unpublish(self, request: web.Request) -> web.Response:
        """The container's ports, without those in the body's PortBindings; a host port of ""
        means whichever it has."""
        bindings = ports_from((await json_body(request)).get("PortBindings") or {})
        return _shown(await self._connections.unpublish(request.match_info["id"], bindings))

    async def traffic(self, request: web.Request) -> web.Response:
        """The container's Weight and Drained, after what the body says of them."""
        body = await json_body(request)
        container = self._containers.get(request.match_info["id"])
        if (weight := body.get("Weight")) is not None:
            if not isinstance(weight, int) or isinstance(weight, bool):
                raise InvalidInput(
                    "Weight is no number", code="bad-request", about="Weight", hint="send a number"
                )
            container = await self._connections.set_weight(container.id, weight)
        if (drained := body.get("Drained")) is not None:
            steer = self._connections.drain if drained else self._connections.undrain
            container = await steer(container.id)
        traffic = container.traffic
        return web.json_response({"Weight": traffic.weight, "Drained": traffic.drained})

    async def connections(self, request: web.Request) -> web.Response:
        """How many connections by published ports the container has."""
        count = await self._connections.count(request.match_info["id"])
        return web.json_response({"Connections": count})


def _port(one: PublishedPort, names: dict[str, str]) -> dict[str, Any]:
    front = one.front
    return {
        "HostIp": front.host_ip or ("0.0.0.0" if front.family == 4 else "::"),
        "HostPort": front.port,
        "Protocol": front.protocol,
        "Containers": [
            {
                "Id": claim.container_id,
                "Name": names.get(claim.container_id, ""),
                "Weight": claim.weight,
                "Standing": claim.standing.name.lower(),
            }
            for claim in one.claims
        ],
        "Backends": [
            {"Address": b.address, "Port": b.port, "Weight": b.weight} for b in one.backends
        ],
    }


def _shown(container: Container) -> web.Response:
    return web.json_response({"Ports": port_map(container.ports)})
