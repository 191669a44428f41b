"""Docker's endpoints about images that are here: listing, inspecting, naming, removing."""

from __future__ import annotations

import json
from collections import Counter

from aiohttp import web
from anyio import to_thread

from orchestrator.api.docker.image_archives import ImageArchiveHandlers
from orchestrator.api.docker.registry import pull
from orchestrator.api.docker.requests import flag
from orchestrator.api.parts import Parts
from orchestrator.engine.disk_usage import shared_bytes
from orchestrator.engine.image_filters import LISTING, PRUNING
from orchestrator.engine.images import Removed
from orchestrator.errors import InvalidInput
from orchestrator.wire.filters import Filters
from orchestrator.wire.images import familiar, image_history, image_inspect, image_summary


class ImageHandlers:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._nouns = parts.nouns
        self._archives = ImageArchiveHandlers(parts)

    def routes(self) -> list[web.RouteDef]:
        one = "/images/{name:.+}"
        return [
            web.get("/images/json", self.images),
            web.post("/images/create", self.create_image),
            web.post("/images/prune", self.prune),
            web.get(one + "/json", self.image),
            web.get(one + "/history", self.history),
            web.post(one + "/tag", self.tag),
            web.delete(one, self.remove_image),
        ]

    async def images(self, request: web.Request) -> web.Response:
        text = request.query.get("filters", "")
        if name := request.query.get("filter"):  # from before API 1.41
            text = json.dumps({"reference": [name]})
        filters = Filters.parse(text, LISTING)
        images = self._nouns.images
        used = Counter(c.image_id for c in self._nouns.containers.all())
        shared = shared_bytes(images.all()) if flag(request, "shared-size") else {}
        return web.json_response(
            [
                image_summary(
                    found.image,
                    containers=used[found.image.id],
                    shared_bytes=shared.get(found.image.id, -1),
                    tags=found.tags,
                    digests=found.digests,
                )
                for found in images.listed(filters)
            ]
        )

    async def image(self, request: web.Request) -> web.Response:
        images = self._nouns.images
        image = images.get(request.match_info["name"])
        document = await to_thread.run_sync(images.document, image)
        lowers = [str(path) for path in images.lowers(image)] if image.layers else []
        return web.json_response(image_inspect(image, document, lowers))

    async def history(self, request: web.Request) -> web.Response:
        image = self._nouns.images.get(request.match_info["name"])
        return web.json_response(image_history(image))

    async def tag(self, request: web.Request) -> web.Response:
        repository, tag = request.query.get("repo", ""), request.query.get("tag", "")
        if not repository:
            raise InvalidInput(
                "a tag needs the name of a repository",
                code="bad-request",
                about="repo",
                hint="send ?repo=NAME&tag=TAG",
            )
        target = f"{repository}:{tag}" if tag else repository
        self._nouns.images.tag(request.match_info["name"], target)
        return web.Response(status=201)

    async def create_image(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        if "fromSrc" in query:
            return await self._archives.import_image(request)
        return await pull(request, self._parts.transfers)

    async def remove_image(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        removed = await self._nouns.images.remove(name, force=flag(request, "force"))
        return web.json_response(_lines(removed))

    async def prune(self, request: web.Request) -> web.Response:
        filters = Filters.parse(request.query.get("filters", ""), PRUNING)
        removed = await self._nouns.images.prune(filters)
        self._parts.events.tell("image", "prune", "", {"reclaimed": str(removed.size_bytes)})
        return web.json_response(
            {"ImagesDeleted": _lines(removed) or None, "SpaceReclaimed": removed.size_bytes}
        )


def _lines(removed: Removed) -> list[dict[str, str]]:
    lines = [{"Untagged": familiar(name)} for name in removed.untagged]
    return lines + [{"Deleted": name} for name in (*removed.deleted, *removed.layers)]
