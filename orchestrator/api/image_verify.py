"""pystack's own endpoint that checks and mends what images are stored as."""

from __future__ import annotations

from dataclasses import asdict

from aiohttp import web

from orchestrator.api.docker.requests import json_body
from orchestrator.api.parts import Parts
from orchestrator.api.work import worked
from orchestrator.errors import InvalidInput
from orchestrator.model.events import Report


class ImageVerifyHandlers:
    def __init__(self, parts: Parts) -> None:
        self._verifier = parts.verifier

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/pystack/v1/images/verify", self.verify)]

    async def verify(self, request: web.Request) -> web.StreamResponse:
        names = (await json_body(request)).get("images") or []
        if not isinstance(names, list):
            raise InvalidInput(
                "images is not a list of names",
                code="bad-request",
                about="images",
                hint="send a list; an empty one stands for every image",
            )

        async def verify(report: Report) -> dict[str, object]:
            count, damage = await self._verifier.verify([str(name) for name in names], report)
            return {"images": count, "damage": [asdict(one) for one in damage]}

        return await worked(request, verify)
