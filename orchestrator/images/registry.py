"""An image registry, as a place to read manifests and blobs from: mirrors first, digests checked.

Source: OCI distribution specification 1.1, "Pull" and "Listing Tags".
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
import anyio

from orchestrator.errors import Denied, Failed, NotFound, PystackError, Unavailable
from orchestrator.images.digest import algorithm_of, digest_with, has_digest
from orchestrator.images.endpoints import Endpoint
from orchestrator.images.manifest import ACCEPTED
from orchestrator.images.reference import Reference
from orchestrator.images.refusal import broken, mismatch, refusal
from orchestrator.images.retry import delay_s
from orchestrator.images.transport import Transport
from orchestrator.model.image import Descriptor

_CONFIG_MAX = 16 << 20
_TAGS_MAX = 32 << 20
_TAG_PAGES_MAX = 1000
_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A manifest as it came: its exact bytes, their digest, and the media type it was sent as."""

    data: bytes
    digest: str
    media_type: str = ""


class Registry:
    """One repository at its mirrors and its registry; `manifest_max` bounds a manifest's bytes."""

    def __init__(
        self, reference: Reference, transports: list[Transport], manifest_max: int
    ) -> None:
        self._reference = reference
        self._transports = transports
        self._manifest_max = manifest_max

    @property
    def own(self) -> Transport:
        """The registry itself, which alone is written to."""
        return self._transports[-1]

    @property
    def mirrored(self) -> bool:
        """Whether there are mirrors besides the registry."""
        return len(self._transports) > 1

    async def manifest(self, wanted: str) -> Fetched:
        """The manifest (or index) at a tag or digest.

        Raises: NotFound, Denied, Unavailable, or Failed where digests do not agree.
        """
        return await self._first(lambda transport: self._manifest(transport, wanted))

    async def tags(self) -> list[str]:
        """The repository's tags.

        Raises: as manifest.
        """
        return await self._first(self._tags)

    async def small_blob(self, blob: Descriptor) -> bytes:
        """A configuration blob's bytes, checked.

        Raises: as manifest.
        """
        if blob.size_bytes > _CONFIG_MAX:
            raise Failed(
                f"the configuration of {self._reference.familiar} has {blob.size_bytes} bytes",
                code="image-config-invalid",
                about=self._reference.familiar,
                hint="this is not a container image",
            )

        async def read(transport: Transport) -> bytes:
            async with aclosing(self._stream(transport, blob, 0)) as pieces:
                data = b"".join([piece async for piece in pieces])
            if not has_digest(data, blob.digest):
                raise self._mismatch(blob.digest)
            return data

        return await self._first(read)

    async def blob(
        self, blob: Descriptor, start: int = 0, *, mirrors: bool = True
    ) -> AsyncGenerator[bytes]:
        """A blob's bytes from `start` on as they arrive, exactly as many as its descriptor says. A
        cut connection is taken up again where it broke. Whoever consumes them checks the digest.

        Raises: as manifest.
        """
        position = start
        problems: list[PystackError] = []
        for transport in self._transports if mirrors else self._transports[-1:]:
            try:
                async with aclosing(self._stream(transport, blob, position)) as pieces:
                    async for piece in pieces:
                        position += len(piece)
                        yield piece
                return
            except (NotFound, Denied, Unavailable, Failed) as problem:
                problems.append(problem)
        raise problems[-1]

    async def _first(self, ask: Callable[[Transport], Awaitable[T]]) -> T:
        """The first good answer. The registry's own refusal is the one that counts, as a mirror
        need not have everything; where it cannot be reached, it helps to know what mirrors said."""
        said: list[str] = []
        for transport in self._transports[:-1]:
            try:
                return await ask(transport)
            except PystackError as problem:
                said.append(problem.message)
        try:
            return await ask(self._transports[-1])
        except Unavailable as problem:
            message = "; ".join([problem.message, *said])
            raise Unavailable(
                message, code=problem.code, about=problem.about, hint=problem.hint
            ) from problem

    async def _manifest(self, transport: Transport, wanted: str) -> Fetched:
        headers = {"Accept": ", ".join(ACCEPTED)}
        async with transport.get(f"manifests/{wanted}", headers) as response:
            await self._check_status(transport.endpoint, response, wanted)
            data = await self._read(response, transport, self._manifest_max)
            stated = response.headers.get("Docker-Content-Digest", "")
            kind = response.content_type
        if ":" in wanted:
            # What was asked for counts; a header that says otherwise says nothing.
            if not has_digest(data, wanted):
                raise self._mismatch(wanted)
            return Fetched(data, wanted, kind)
        if stated and not has_digest(data, stated):
            raise self._mismatch(stated)
        algorithm = algorithm_of(stated) if stated else "sha256"
        return Fetched(data, digest_with(algorithm, data), kind)

    async def _tags(self, transport: Transport) -> list[str]:
        found: list[str] = []
        path = "tags/list"
        for _ in range(_TAG_PAGES_MAX):
            async with transport.get(path) as response:
                await self._check_status(transport.endpoint, response, "")
                data = await self._read(response, transport, _TAGS_MAX)
                following = _NEXT.search(response.headers.get("Link", ""))
            try:
                found += [str(tag) for tag in json.loads(data)["tags"] or ()]
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise Failed(
                    f"{transport.endpoint.host} lists no tags of {self._reference.familiar}",
                    code="registry-refused",
                    about=self._reference.familiar,
                    hint="name a tag instead of --all-tags",
                ) from error
            if following is None:
                break
            path = following[1]
        return list(dict.fromkeys(found))

    async def _read(
        self, response: aiohttp.ClientResponse, transport: Transport, most: int
    ) -> bytes:
        data = bytearray()
        try:
            async for piece in response.content.iter_any():
                data += piece
                if len(data) > most:
                    raise Failed(
                        f"what {transport.endpoint.host} says of {self._reference.familiar} has"
                        f" more than {most} bytes",
                        code="image-manifest-invalid",
                        about=self._reference.familiar,
                        hint="this is not a container image",
                    )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise broken(transport.endpoint, error) from error
        return bytes(data)

    async def _stream(
        self, transport: Transport, blob: Descriptor, position: int
    ) -> AsyncGenerator[bytes]:
        failures = 0
        began = position
        while position < blob.size_bytes or (position == began == 0 and failures == 0):
            resumed_at = position
            error: Exception | None = None
            try:
                async with aclosing(self._part(transport, blob, position)) as pieces:
                    async for piece in pieces:
                        position += len(piece)
                        if position > blob.size_bytes:
                            raise self._mismatch(blob.digest)
                        yield piece
            except (aiohttp.ClientError, TimeoutError, OSError) as problem:
                error = problem
            if position == blob.size_bytes:
                return
            # Progress starts the count anew: a long download over a bad line gets there.
            progressed = position > resumed_at
            # One that does not move costs its whole time each time it is asked.
            weight = 2 if isinstance(error, TimeoutError) else 1
            failures = 1 if progressed else failures + weight
            delay = delay_s(failures)
            if delay is None or transport.endpoint.mirror:
                raise broken(transport.endpoint, error)
            await anyio.sleep(0 if progressed and failures == 1 else delay)

    async def _part(
        self, transport: Transport, blob: Descriptor, position: int
    ) -> AsyncGenerator[bytes]:
        """The blob from position on, or up to where the connection breaks."""
        headers = {"Range": f"bytes={position}-"} if position else {}
        async with transport.get(f"blobs/{blob.digest}", headers) as response:
            await self._check_status(transport.endpoint, response, blob.digest)
            skip = position
            if response.status == 206:
                match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
                if match is None or int(match[1]) != position:
                    raise self._mismatch(blob.digest)
                skip = 0
            async for piece in response.content.iter_any():
                # A server that knows no ranges sends everything again.
                if skip >= len(piece):
                    skip -= len(piece)
                    continue
                yield piece[skip:] if skip else piece
                skip = 0

    async def _check_status(
        self, endpoint: Endpoint, response: aiohttp.ClientResponse, wanted: str
    ) -> None:
        if response.status in (200, 206):
            return
        body = await said_by(response)
        raise refusal(endpoint, response.status, body, self._reference.familiar, "pulling", wanted)

    def _mismatch(self, digest: str) -> Failed:
        return mismatch(digest, self._reference.familiar)


async def said_by(response: aiohttp.ClientResponse) -> bytes:
    """The beginning of a refusal's body; what breaks while it is read is no matter."""
    try:
        return await response.content.read(1 << 16)
    except (aiohttp.ClientError, TimeoutError):
        return b""
