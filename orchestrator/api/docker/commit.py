"""Docker's endpoint that makes an image of a container."""

from __future__ import annotations

import msgspec
from aiohttp import web

from orchestrator.api.docker.requests import json_body
from orchestrator.api.parts import Parts
from orchestrator.engine.commit import Wish
from orchestrator.images.config import parse_config
from orchestrator.model.image import ImageConfig


class CommitHandlers:
    def __init__(self, parts: Parts) -> None:
        self._commits = parts.commits

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/commit", self.commit)]

    async def commit(self, request: web.Request) -> web.Response:
        query = request.query
        body = await json_body(request)
        repository, tag = query.get("repo", ""), query.get("tag", "")
        wish = Wish(
            tag=f"{repository}:{tag}" if repository and tag else repository,
            author=query.get("author", ""),
            comment=query.get("comment", ""),
            pause=query.get("pause", "1").lower() not in ("0", "false", "no"),
            changes=query.getall("changes", []),
            config=_config(body),
        )
        image = await self._commits.commit(query.get("container", ""), wish)
        return web.json_response({"Id": image.id}, status=201)


def _config(body: dict[str, object]) -> ImageConfig:
    """What a ContainerConfig says of an image."""
    return parse_config(msgspec.json.encode({"config": body})).config if body else ImageConfig()
