"""Docker's endpoints about images."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from orchestrator.api.docker.requests import flag
from orchestrator.api.parts import Parts
from orchestrator.api.work import worked
from orchestrator.model.events import Report
from orchestrator.wire.images import image_inspect, image_summary


class ImageHandlers:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._nouns = parts.nouns

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/images/json", self.images),
            web.post("/images/create", self.create_image),
            web.post("/images/load", self.load),
            web.get("/images/{name:.+}/json", self.image),
            web.delete("/images/{name:.+}", self.remove_image),
        ]

    async def images(self, _request: web.Request) -> web.Response:
        used = [c.image_id for c in self._nouns.containers.all()]
        return web.json_response(
            [image_summary(i, used.count(i.id)) for i in self._nouns.images.all()]
        )

    async def image(self, request: web.Request) -> web.Response:
        return web.json_response(image_inspect(self._nouns.images.get(request.match_info["name"])))

    async def create_image(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        if "fromSrc" in query:
            name = query.get("repo", "")
            if tag := query.get("tag"):
                name += f":{tag}"

            async def import_it(_report: Report) -> dict[str, object]:
                image = await self._nouns.images.import_rootfs_tar(_body(request), name)
                return {"id": image.id}

            return await worked(request, import_it)
        reference = query["fromImage"]
        if tag := query.get("tag"):
            reference += f"@{tag}" if tag.startswith("sha256:") else f":{tag}"

        async def pull(report: Report) -> dict[str, object]:
            image = await self._nouns.images.pull(reference, report, query.get("platform", ""))
            return {"id": image.id}

        return await worked(request, pull)

    async def load(self, request: web.Request) -> web.StreamResponse:
        async def load(report: Report) -> dict[str, object]:
            loaded = await self._nouns.images.load_archive(_body(request), report)
            return {"images": [i.tags[0] if i.tags else i.id for i in loaded]}

        return await worked(request, load)

    async def remove_image(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        removed = await self._nouns.images.remove(name, force=flag(request, "force"))
        lines = [{"Untagged": t} for t in removed.untagged]
        return web.json_response(lines + [{"Deleted": d} for d in removed.deleted])


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    async for piece in request.content.iter_chunked(1 << 20):
        yield piece
