"""Docker's endpoints about swarms and plugins, answered as an engine without either.

Source: the Docker Engine API reference, version 1.45, "Swarm", "Node", "Service", "Task",
"Plugin": 503 from an engine that is no manager, 404 for a plugin that is not installed.
"""

from __future__ import annotations

from aiohttp import web

from orchestrator.api.docker.requests import json_body
from orchestrator.errors import NotFound, PystackError, Unavailable, Unsupported

# Those of managers alone.
_OF_MANAGERS = (
    ("GET", "/swarm"),
    ("POST", "/swarm/update"),
    ("GET", "/swarm/unlockkey"),
    ("GET", "/nodes"),
    ("GET", "/nodes/{id}"),
    ("DELETE", "/nodes/{id}"),
    ("POST", "/nodes/{id}/update"),
    ("GET", "/services"),
    ("POST", "/services/create"),
    ("GET", "/services/{id}"),
    ("DELETE", "/services/{id}"),
    ("POST", "/services/{id}/update"),
    ("GET", "/services/{id}/logs"),
    ("GET", "/tasks"),
    ("GET", "/tasks/{id}"),
    ("GET", "/tasks/{id}/logs"),
)
_OF_MEMBERS = (("POST", "/swarm/leave"), ("POST", "/swarm/unlock"))
_TO_JOIN = (("POST", "/swarm/init"), ("POST", "/swarm/join"))
_OF_A_PLUGIN = (
    ("GET", "/plugins/{name:.+}/json"),
    ("POST", "/plugins/{name:.+}/enable"),
    ("POST", "/plugins/{name:.+}/disable"),
    ("POST", "/plugins/{name:.+}/upgrade"),
    ("POST", "/plugins/{name:.+}/push"),
    ("POST", "/plugins/{name:.+}/set"),
    ("DELETE", "/plugins/{name:.+}"),
)
_TO_INSTALL = (("GET", "/plugins/privileges"), ("POST", "/plugins/pull"),
               ("POST", "/plugins/create"))  # fmt: skip


class SwarmHandlers:
    def routes(self) -> list[web.RouteDef]:
        given = (
            (_OF_MANAGERS, self.of_managers),
            (_OF_MEMBERS, self.of_members),
            (_TO_JOIN, self.join),
        )
        return [web.route(m, path, handler) for paths, handler in given for m, path in paths]

    async def of_managers(self, _request: web.Request) -> web.Response:
        raise _outside(
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to '
            "connect this node to swarm and try again."
        )

    async def of_members(self, _request: web.Request) -> web.Response:
        raise _outside("This node is not part of a swarm")

    async def join(self, request: web.Request) -> web.Response:
        await json_body(request)
        raise Unsupported(
            "there are no swarms here: pystack runs stacks on one machine",
            code="not-a-swarm",
            about="swarm",
            hint="`pystack up` runs a stack file",
        )


class PluginHandlers:
    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/plugins", self.index),
            *(web.route(method, path, self.install) for method, path in _TO_INSTALL),
            *(web.route(method, path, self.absent) for method, path in _OF_A_PLUGIN),
        ]

    async def index(self, _request: web.Request) -> web.Response:
        return web.json_response([])

    async def install(self, _request: web.Request) -> web.Response:
        raise Unsupported(
            "plugins cannot be installed here",
            code="no-plugins",
            about="plugin",
            hint="volumes are local; networks are bridge, macvlan, ipvlan, host and none",
        )

    async def absent(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        raise NotFound(
            f'plugin "{name}" not found',
            code="no-such-plugin",
            about=name,
            hint="there are no plugins here",
        )


def _outside(message: str) -> PystackError:
    return Unavailable(
        message,
        code="not-a-swarm",
        about="swarm",
        hint="pystack runs stacks on one machine: `pystack up`",
    )
