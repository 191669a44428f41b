"""Docker's endpoints for what this engine does not do, each with what to do instead.

BuildKit's sessions are not spoken: /_ping recommends the classic builder, and a client that tries
nevertheless is told. Checkpoints are an experiment of Docker's that no stable engine serves.
"""

from __future__ import annotations

from aiohttp import web

from orchestrator.api.parts import Parts
from orchestrator.errors import Unsupported


class UnsupportedHandlers:
    def __init__(self, parts: Parts) -> None:
        self._containers = parts.nouns.containers

    def routes(self) -> list[web.RouteDef]:
        every = "/containers/{id}/checkpoints"
        return [
            web.post("/session", self.session),
            web.post("/grpc", self.session),
            web.get(every, self.checkpoint),
            web.post(every, self.checkpoint),
            web.delete(every + "/{checkpoint}", self.checkpoint),
        ]

    async def session(self, _request: web.Request) -> web.Response:
        raise Unsupported(
            "this engine speaks no BuildKit sessions",
            code="buildkit-unsupported",
            about="session",
            hint="build with DOCKER_BUILDKIT=0, or with `pystack build`, which knows BuildKit's "
            "Dockerfiles",
        )

    async def checkpoint(self, request: web.Request) -> web.Response:
        container = self._containers.get(request.match_info["id"])
        raise Unsupported(
            "checkpoints are not supported",
            code="no-checkpoints",
            about=container.name,
            hint="`pystack pause` holds a container still, `pystack commit` keeps its files",
        )
