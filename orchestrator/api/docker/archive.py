"""Docker's endpoints about a container's files: archive, export, changes."""

from __future__ import annotations

import base64
import io
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web
from anyio import from_thread

from orchestrator.api.docker.requests import flag
from orchestrator.api.parts import Parts
from orchestrator.engine.container_files import PathStat
from orchestrator.errors import InvalidInput

_TAR = "application/x-tar"
_STAT = "X-Docker-Container-Path-Stat"
_KINDS = {"C": 0, "A": 1, "D": 2}
# Go's os.FileMode: the permission bits are Unix's, the rest has places of its own.
_GO_KINDS = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
}
_GO_BITS = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


class ArchiveHandlers:
    def __init__(self, parts: Parts) -> None:
        self._files = parts.files

    def routes(self) -> list[web.RouteDef]:
        one = "/containers/{id}"
        return [
            web.head(one + "/archive", self.look),
            web.get(one + "/archive", self.take, allow_head=False),
            web.put(one + "/archive", self.put),
            web.get(one + "/export", self.export),
            web.get(one + "/changes", self.changes),
        ]

    async def look(self, request: web.Request) -> web.Response:
        found = await self._files.stat(request.match_info["id"], _path(request))
        return web.Response(headers={_STAT: stat_header(found)})

    async def take(self, request: web.Request) -> web.StreamResponse:
        async with self._files.taken(request.match_info["id"], _path(request)) as (found, pieces):
            return await _streamed(request, pieces, {_STAT: stat_header(found)})

    async def put(self, request: web.Request) -> web.Response:
        await self._files.put(
            request.match_info["id"],
            _path(request),
            io.BufferedReader(_Body(request), 1 << 18),
            keep_kinds=flag(request, "noOverwriteDirNonDir"),
            as_user=flag(request, "copyUIDGID"),
        )
        return web.Response(status=200)

    async def export(self, request: web.Request) -> web.StreamResponse:
        async with self._files.exported(request.match_info["id"]) as pieces:
            return await _streamed(request, pieces, {})

    async def changes(self, request: web.Request) -> web.Response:
        found = await self._files.changes(request.match_info["id"])
        shown = [{"Path": change.path, "Kind": _KINDS[change.kind]} for change in found]
        return web.json_response(shown or None)


class _Body(io.RawIOBase):
    """A request's body as a file, read in a worker thread of the loop that receives it."""

    def __init__(self, request: web.Request) -> None:
        self._content = request.content
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = from_thread.run(self._content.readany)
        data, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


async def _streamed(
    request: web.Request, pieces: AsyncIterator[bytes], headers: dict[str, str]
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": _TAR, **headers})
    await response.prepare(request)
    async for piece in pieces:
        await response.write(piece)
    await response.write_eof()
    return response


def _path(request: web.Request) -> str:
    path = request.query.get("path", "")
    if not path or "\0" in path:
        raise InvalidInput(
            "a path is needed, in the query's `path`",
            code="bad-request",
            about="path",
            hint="give an absolute path of the container",
        )
    return path


def stat_header(found: PathStat) -> str:
    """The description of a path as Docker's clients read it: base64 of JSON."""
    moment = datetime.fromtimestamp(found.mtime_ns // 1_000_000_000, UTC)
    shown = {
        "name": found.name,
        "size": found.size_bytes,
        "mode": go_mode(found.mode),
        "mtime": moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{found.mtime_ns % 10**9:09d}Z",
        "linkTarget": found.link_target,
    }
    return base64.b64encode(msgspec.json.encode(shown)).decode()


def go_mode(mode: int) -> int:
    """st_mode as Go's os.FileMode.  Source: Go's package io/fs, FileMode."""
    bits = sum(go for unix, go in _GO_BITS.items() if mode & unix)
    return (mode & 0o777) | _GO_KINDS.get(stat.S_IFMT(mode), 0) | bits
