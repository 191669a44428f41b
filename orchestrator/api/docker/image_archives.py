"""Docker's endpoints that move images to and from files: save, load, import."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from typing import Any, cast, get_args

import structlog
from aiohttp import web

from orchestrator.api.docker.messages import messages
from orchestrator.api.docker.requests import flag
from orchestrator.api.local_file import local_file
from orchestrator.api.parts import Parts
from orchestrator.engine.image_source import fetched
from orchestrator.errors import InvalidInput, PystackError
from orchestrator.images.archive_writer import ArchiveFormat, Saved
from orchestrator.images.layers import read_pieces
from orchestrator.model.events import Progress, Report
from orchestrator.model.image import Image
from orchestrator.wire.images import familiar
from orchestrator.wire.transfers import layer_line

_PIECE = 1 << 20


class ImageArchiveHandlers:
    def __init__(self, parts: Parts) -> None:
        self._archives = parts.archives
        self._images = parts.nouns.images

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/images/load", self.load),
            web.get("/images/get", self.save),
            web.get("/images/{name:.+}/get", self.save),
        ]

    async def save(self, request: web.Request) -> web.StreamResponse:
        form = request.query.get("format", "both")
        if form not in get_args(ArchiveFormat):
            raise InvalidInput(
                f"unknown archive format {form}",
                code="bad-request",
                about="format",
                hint=f"there are {', '.join(get_args(ArchiveFormat))}",
            )
        if "name" in request.match_info:
            names = [request.match_info["name"]]
        else:
            names = [name for text in request.query.getall("names", []) for name in text.split(",")]
        chosen = self._archives.chosen([name for name in names if name])
        return await self._send(request, chosen, cast("ArchiveFormat", form))

    async def _send(
        self, request: web.Request, chosen: list[Saved], form: ArchiveFormat
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-tar"})
        async with aclosing(self._archives.save(chosen, form)) as pieces:
            # What is wrong from the start is an answer of its own, not a broken archive.
            first = await anext(pieces, b"")
            await response.prepare(request)
            try:
                await response.write(first)
                async for piece in pieces:
                    await response.write(piece)
            except PystackError as error:
                # The end of the chunked body never comes, so the client knows that it is not whole.
                structlog.get_logger().error("save broke off", problem=error.message)
                if request.transport is not None:
                    request.transport.close()
                return response
        await response.write_eof()
        return response

    async def load(self, request: web.Request) -> web.StreamResponse:
        source = local_file(request) or _body(request)

        async def load(report: Report) -> Iterable[dict[str, Any]]:
            images = await self._images.load_archive(source, report)
            return [{"stream": f"{line}\n"} for image in images for line in _loaded(image)]

        return await messages(request, load, _untold if flag(request, "quiet") else layer_line)

    async def import_image(self, request: web.Request) -> web.StreamResponse:
        """The answer to POST /images/create with fromSrc."""
        query = request.query
        name = query.get("repo", "")
        if tag := query.get("tag"):
            name += f":{tag}"
        source = query["fromSrc"]
        if path := local_file(request):
            stream: AsyncIterator[bytes] = read_pieces(path)
        else:
            stream = _body(request) if source == "-" else fetched(source)

        async def work(_report: Report) -> Iterable[dict[str, Any]]:
            image = await self._archives.import_tar(
                stream,
                name,
                changes=query.getall("changes", []),
                message=query.get("message") or f"Imported from {source}",
                platform=query.get("platform", ""),
            )
            return [{"status": image.id}]

        return await messages(request, work, _untold)


def _untold(_progress: Progress) -> None:
    """For work whose steps nobody wants to hear of."""


def _loaded(image: Image) -> list[str]:
    if not image.tags:
        return [f"Loaded image ID: {image.id}"]
    return [f"Loaded image: {familiar(tag)}" for tag in image.tags]


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    async for piece in request.content.iter_chunked(_PIECE):
        yield piece
