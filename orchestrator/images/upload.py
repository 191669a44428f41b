"""Blobs and manifests written to one repository.

Source: OCI distribution specification 1.1, "Push": "Pushing a blob in chunks", "Mounting a blob
from another repository", "Pushing Manifests".
"""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import anyio
import anyio.to_thread

from orchestrator.errors import Denied, NotFound, PystackError, Unavailable
from orchestrator.images.refusal import TIMEOUT, broken, refusal
from orchestrator.images.registry import said_by
from orchestrator.images.retry import delay_s
from orchestrator.images.transport import AFTER_WRITE, Transport
from orchestrator.model.image import Descriptor

_PIECE = 256 << 10
_STALLS_MAX = 2
_LEAST_CHUNK = 512 << 10
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")
_BINARY = "application/octet-stream"


class Uploads:
    """Writing to the repository of a transport; `name` is what a person calls it. `chunk_bytes`
    bounds what one request carries, 0 does not."""

    def __init__(self, transport: Transport, name: str, chunk_bytes: int) -> None:
        self._transport = transport
        self._name = name
        self._chunk_bytes = chunk_bytes

    async def has(self, blob: Descriptor) -> bool:
        """Whether the repository has the blob already.

        Raises: Denied, Unavailable.
        """
        async with self._transport.request("HEAD", f"blobs/{blob.digest}") as response:
            if response.status == 200:
                return True
            if response.status in (404, 405):
                return False
            raise await self._refused(response)

    async def mount(self, blob: Descriptor, source: str) -> tuple[bool, str]:
        """Whether the repository has the blob now, taken from the repository source of the same
        registry; where not, the upload that was begun instead, "" for none."""
        query = urllib.parse.urlencode({"mount": blob.digest, "from": source})
        try:
            async with self._transport.request("POST", f"blobs/uploads/?{query}") as response:
                if response.status == 201:
                    return True, ""
                return False, response.headers.get("Location", "")
        except Denied:
            # Not allowed to read there; writing here may still be.
            return False, ""

    async def send(
        self, blob: Descriptor, path: Path, told: Callable[[int], None], location: str = ""
    ) -> None:
        """Nothing, once the repository has the blob, whose bytes are in the file at path. An upload
        that breaks goes on where the registry says it has got to, or begins again.

        Raises: Denied, Unavailable, Failed.
        """
        file = await anyio.to_thread.run_sync(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            await self._send(blob, file, told, location)
        finally:
            os.close(file)

    async def put_manifest(self, reference: str, data: bytes, media_type: str) -> None:
        """Nothing, once the manifest is there under a tag or digest.

        Raises: Denied, Unavailable, Failed, NotFound.
        """
        headers = {"Content-Type": media_type}
        path = f"manifests/{reference}"
        async with self._transport.request("PUT", path, headers, lambda: data) as response:
            if response.status not in (200, 201):
                raise await self._refused(response)

    async def _send(
        self, blob: Descriptor, file: int, told: Callable[[int], None], location: str
    ) -> None:
        state = _State(location, chunk_bytes=self._chunk_bytes or max(1, blob.size_bytes))
        while True:
            try:
                state.location = state.location or await self._begin()
                while state.position < blob.size_bytes:
                    await self._patch(state, blob, file, told)
                await self._finish(state.location, blob)
                return
            except (Unavailable, NotFound, _OutOfStep) as problem:
                if isinstance(problem, Unavailable) and state.stalled(problem):
                    raise
                reached = await self._reached(state.location) if state.location else None
                delay = state.broke(reached)
                if delay is None:
                    if isinstance(problem, PystackError):
                        raise
                    raise broken(self._transport.endpoint, problem) from problem
                await anyio.sleep(delay)

    async def _begin(self) -> str:
        async with self._transport.request("POST", "blobs/uploads/") as response:
            location = response.headers.get("Location", "")
            if response.status not in (201, 202) or not location:
                raise await self._refused(response)
            return location

    async def _patch(
        self, state: _State, blob: Descriptor, file: int, told: Callable[[int], None]
    ) -> None:
        start, end = state.position, min(blob.size_bytes, state.position + state.chunk_bytes)
        headers = {"Content-Type": _BINARY, "Content-Length": str(end - start)}
        if start or end < blob.size_bytes:
            headers["Content-Range"] = f"{start}-{end - 1}"
        if state.alone:
            headers["Connection"] = "close"

        idle_s = self._transport.idle_s
        location = state.location
        with anyio.CancelScope(deadline=anyio.current_time() + idle_s) as moving:

            def moved(position: int) -> None:
                told(position)
                # The last piece is followed by the answer, which has a time of its own.
                more_s = idle_s * (1 + AFTER_WRITE if position >= end else 1)
                moving.deadline = anyio.current_time() + more_s

            def body() -> AsyncGenerator[bytes]:
                return _part(file, start, end, moved)

            async with self._transport.request(
                "PATCH", location, headers, body, tries=1
            ) as response:
                if response.status == 416:
                    raise _OutOfStep
                if response.status not in (200, 201, 202, 204):
                    raise await self._refused(response)
                state.arrived(response.headers.get("Location") or location, end)
        if moving.cancelled_caught:
            raise broken(self._transport.endpoint, TimeoutError())

    async def _finish(self, location: str, blob: Descriptor) -> None:
        separator = "&" if "?" in location else "?"
        target = f"{location}{separator}digest={urllib.parse.quote(blob.digest, safe='')}"
        headers = {"Content-Type": _BINARY, "Content-Length": "0"}
        async with self._transport.request("PUT", target, headers, tries=1) as response:
            if response.status not in (200, 201, 204):
                if response.status < 500 and await self.has(blob):
                    return  # the answer to an earlier try was lost
                raise await self._refused(response)

    async def _reached(self, location: str) -> tuple[str, int] | None:
        """Where an upload goes on and from which byte; None where it must begin again."""
        try:
            async with self._transport.request("GET", location, tries=2) as response:
                match = _RANGE.fullmatch(response.headers.get("Range", ""))
                # "0-0" is what some say of nothing and of one byte.
                if response.status not in (200, 204) or match is None or match[1] == "0":
                    return None
                return response.headers.get("Location") or location, int(match[1]) + 1
        except PystackError:
            return None

    async def _refused(self, response: aiohttp.ClientResponse) -> PystackError:
        body = await said_by(response)
        endpoint = self._transport.endpoint
        return refusal(endpoint, response.status, body, self._name, "pushing")


@dataclass(slots=True)
class _State:
    """How far an upload is. Where a registry can take up a broken one only at the end of a request
    (Debian's docker-registry), requests become smaller with every break, and each has a connection
    of its own, until they get through."""

    location: str
    chunk_bytes: int
    position: int = 0
    furthest: int = 0
    failures: int = 0
    alone: bool = False
    stalls: int = 0
    stalled_at: int = -1

    def arrived(self, location: str, position: int) -> None:
        self.location, self.position = location, position
        if position > self.furthest:
            # Progress starts the count anew: a large layer over a bad line gets there.
            self.furthest, self.failures = position, 0

    def stalled(self, problem: Unavailable) -> bool:
        """Whether the registry did not answer, once more at the same place: that takes its whole
        time each time."""
        if problem.code != TIMEOUT:
            return False
        self.stalls = self.stalls + 1 if self.stalled_at == self.furthest else 1
        self.stalled_at = self.furthest
        return self.stalls >= _STALLS_MAX

    def broke(self, reached: tuple[str, int] | None) -> float | None:
        """Seconds to wait before going on from where the registry has got to, or (None) from the
        beginning; None for giving up."""
        if reached is not None:
            self.failures += 1
            self.arrived(*reached)
            return delay_s(max(1, self.failures))
        self.location, self.position = "", 0
        if self.chunk_bytes > _LEAST_CHUNK:
            self.chunk_bytes = max(_LEAST_CHUNK, self.chunk_bytes // 4)
            self.alone = True
        else:
            self.failures += 1
        return delay_s(max(1, self.failures))


class _OutOfStep(Exception):
    """The registry has got further, or less far, than we thought."""


async def _part(
    file: int, position: int, end: int, told: Callable[[int], None]
) -> AsyncGenerator[bytes]:
    # The file is the caller's, since nobody closes a generator whose connection broke.
    while position < end:
        piece = await anyio.to_thread.run_sync(
            os.pread, file, min(_PIECE, end - position), position
        )
        if not piece:
            raise OSError("the blob is shorter than it was")
        yield piece
        position += len(piece)
        told(position)
