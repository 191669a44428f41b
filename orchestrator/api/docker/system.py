"""Docker's endpoints about the engine itself: ping, version, info."""

from __future__ import annotations

from aiohttp import web

from orchestrator.api.docker.info import info_body, version_body
from orchestrator.api.parts import Parts

# The builder's version 1 is the classic one: clients then build through POST /build.
_HEADERS = {
    "Builder-Version": "1",
    "Swarm": "inactive",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
}


class SystemHandlers:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/_ping", self.ping, allow_head=False),
            web.head("/_ping", self.ping),
            web.get("/version", self.version),
            web.get("/info", self.info),
        ]

    async def ping(self, request: web.Request) -> web.Response:
        if request.method == "HEAD":
            # Docker's answer has no body, so its length is not GET's.
            return web.Response(headers={**_HEADERS, "Content-Length": "0"})
        return web.Response(text="OK", headers=_HEADERS)

    async def version(self, _request: web.Request) -> web.Response:
        return web.json_response(version_body(self._parts))

    async def info(self, _request: web.Request) -> web.Response:
        return web.json_response(await info_body(self._parts))
