"""A registry in memory that takes pushes, whose every answer a test may replace.

It keeps to the letter of the OCI distribution specification where Debian's docker-registry is lax
or cannot be made to fail: uploads tell how far they have got and take only what comes next.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse | None]]

_UPLOAD = re.compile(r"/v2/(.+)/blobs/uploads/(\w*)")
_BLOB = re.compile(r"/v2/(.+)/blobs/(sha\d+:\w+)")
_MANIFEST = re.compile(r"/v2/(.+)/manifests/(.+)")
_PIECE = 64 << 10


async def _nothing(_request: web.Request) -> None:
    return None


@dataclass
class MemoryRegistry:
    """`blobs` and `manifests` are by repository; `asked` is every request, as `METHOD path?query`;
    `before` is asked for each answer first, and None from it means the true one."""

    before: Handler = _nothing
    host: str = ""
    blobs: dict[str, dict[str, bytes]] = field(default_factory=dict)
    manifests: dict[str, dict[str, tuple[bytes, str]]] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    received: int = 0
    cut_after: int = 0
    """Once that many bytes of an upload have come, the connection is closed; then 0 again."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path_qs}")
        if (replaced := await self.before(request)) is not None:
            return replaced
        if match := _UPLOAD.fullmatch(request.path):
            return await self._upload(request, match[1], match[2])
        if match := _BLOB.fullmatch(request.path):
            return _found(self.blobs.get(match[1], {}).get(match[2]))
        if match := _MANIFEST.fullmatch(request.path):
            return await self._manifest(request, match[1], match[2])
        return web.Response(status=200 if request.path == "/v2/" else 404)

    async def _manifest(
        self, request: web.Request, name: str, reference: str
    ) -> web.StreamResponse:
        held = self.manifests.setdefault(name, {})
        if request.method == "PUT":
            data = await request.read()
            digest = _digest(data)
            held[reference] = held[digest] = (data, request.headers["Content-Type"])
            return web.Response(status=201, headers={"Docker-Content-Digest": digest})
        if (known := held.get(reference)) is None:
            return _found(None)
        response = _found(known[0])
        response.content_type = known[1]
        return response

    async def _upload(self, request: web.Request, name: str, key: str) -> web.StreamResponse:
        if request.method == "POST":
            return self._begun(request, name)
        if key not in self.uploads:
            return web.Response(status=404)
        if request.method == "GET":
            return self._progress(204, name, key)
        held = self.uploads[key]
        stated = re.fullmatch(r"(\d+)-\d+", request.headers.get("Content-Range", ""))
        if stated and int(stated[1]) != len(held):
            return self._progress(416, name, key)
        if not await self._received(request, held):
            return web.Response(status=500)
        return (
            self._progress(202, name, key)
            if request.method == "PATCH"
            else (self._ended(request.query["digest"], name, bytes(held)))
        )

    def _begun(self, request: web.Request, name: str) -> web.Response:
        source, digest = request.query.get("from", ""), request.query.get("mount", "")
        if digest in self.blobs.get(source, {}):
            self.blobs.setdefault(name, {})[digest] = self.blobs[source][digest]
            return web.Response(status=201)
        key = f"u{len(self.uploads)}"
        self.uploads[key] = bytearray()
        return self._progress(202, name, key)

    async def _received(self, request: web.Request, held: bytearray) -> bool:
        """Whether all of the body came before the connection was cut."""
        async for piece in request.content.iter_chunked(_PIECE):
            held += piece
            self.received += len(piece)
            if self.cut_after and len(held) >= self.cut_after:
                self.cut_after = 0
                assert request.transport is not None
                request.transport.abort()
                return False
        return True

    def _ended(self, digest: str, name: str, data: bytes) -> web.Response:
        if _digest(data) != digest:
            return web.Response(status=400)
        self.blobs.setdefault(name, {})[digest] = data
        return web.Response(status=201)

    def _progress(self, status: int, name: str, key: str) -> web.Response:
        reached = max(0, len(self.uploads[key]) - 1)
        headers = {"Location": f"/v2/{name}/blobs/uploads/{key}", "Range": f"0-{reached}"}
        return web.Response(status=status, headers=headers)


def _found(data: bytes | None) -> web.Response:
    return web.Response(status=404) if data is None else web.Response(body=data)


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@asynccontextmanager
async def serving(before: Handler = _nothing) -> AsyncIterator[MemoryRegistry]:
    """The registry on a port of 127.0.0.1 while the block lasts."""
    registry = MemoryRegistry(before)
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", registry.answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        registry.host = f"127.0.0.1:{runner.addresses[0][1]}"
        yield registry
    finally:
        await runner.cleanup()
