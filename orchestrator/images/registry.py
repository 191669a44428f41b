"""An image registry, as a place to read manifests and blobs from: mirrors first, digests checked.

Source: OCI distribution specification 1.1, "Pull".
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
import anyio

from orchestrator.errors import Denied, Failed, NotFound, PystackError, Unavailable
from orchestrator.images.content import digest_of
from orchestrator.images.credentials import find_credentials
from orchestrator.images.endpoints import Endpoint, endpoints
from orchestrator.images.manifest import ACCEPTED
from orchestrator.images.reference import Reference
from orchestrator.images.retry import delay_s
from orchestrator.images.transport import Transport, tls_for
from orchestrator.model.image import Descriptor
from orchestrator.settings import Settings

_MANIFEST_MAX = 4 << 20
_CONFIG_MAX = 16 << 20
_READ_BUFFER = 1 << 20
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A manifest as it came: its exact bytes and their digest."""

    data: bytes
    digest: str


class Registry:
    """One repository at its mirrors and its registry."""

    def __init__(self, reference: Reference, transports: list[Transport]) -> None:
        self._reference = reference
        self._transports = transports

    async def manifest(self, wanted: str) -> Fetched:
        """The manifest (or index) at a tag or digest.

        Raises: NotFound, Denied, Unavailable, or Failed where digests do not agree.
        """
        return await self._first(lambda transport: self._manifest(transport, wanted))

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
            if digest_of(data) != blob.digest:
                raise self._mismatch(blob.digest)
            return data

        return await self._first(read)

    @property
    def mirrored(self) -> bool:
        """Whether there are mirrors besides the registry."""
        return len(self._transports) > 1

    async def blob(self, blob: Descriptor, *, mirrors: bool = True) -> AsyncGenerator[bytes]:
        """A blob's bytes as they arrive, exactly as many as its descriptor says. A cut connection
        is taken up again where it broke. Whoever consumes them checks the digest.

        Raises: as manifest.
        """
        position = 0
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
            self._check_status(transport.endpoint, response.status, wanted)
            data = await self._read(response, transport)
            stated = response.headers.get("Docker-Content-Digest", "")
        digest = digest_of(data)
        expected = wanted if ":" in wanted else stated
        if expected.startswith("sha256:") and expected != digest:
            raise self._mismatch(expected)
        return Fetched(data, digest)

    async def _read(self, response: aiohttp.ClientResponse, transport: Transport) -> bytes:
        data = bytearray()
        try:
            async for piece in response.content.iter_any():
                data += piece
                if len(data) > _MANIFEST_MAX:
                    raise Failed(
                        f"the manifest of {self._reference.familiar} is too large",
                        code="image-manifest-invalid",
                        about=self._reference.familiar,
                        hint="this is not a container image",
                    )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._broken(transport.endpoint, error) from error
        return bytes(data)

    async def _stream(
        self, transport: Transport, blob: Descriptor, position: int
    ) -> AsyncGenerator[bytes]:
        failures = 0
        while position < blob.size_bytes or (position == 0 and failures == 0):
            began_at = position
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
            failures = 1 if position > began_at else failures + 1
            delay = delay_s(failures)
            if delay is None or transport.endpoint.mirror:
                raise self._broken(transport.endpoint, error)
            await anyio.sleep(delay)

    async def _part(
        self, transport: Transport, blob: Descriptor, position: int
    ) -> AsyncGenerator[bytes]:
        """The blob from position on, or up to where the connection breaks."""
        headers = {"Range": f"bytes={position}-"} if position else {}
        async with transport.get(f"blobs/{blob.digest}", headers) as response:
            self._check_status(transport.endpoint, response.status, blob.digest)
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

    def _check_status(self, endpoint: Endpoint, status: int, wanted: str) -> None:
        if status in (200, 206):
            return
        name = self._reference.familiar
        if status == 404:
            raise NotFound(
                f"{endpoint.host} has no {name}"
                + (f" ({wanted})" if wanted.startswith("sha256:") else ""),
                code="no-such-image",
                about=name,
                hint="check the name and the tag; `pystack images` lists what is here",
            )
        if status == 403:
            raise Denied(
                f"{endpoint.host} forbids pulling {name}",
                code="registry-denied",
                about=name,
                hint=f"log in as somebody who may: docker login {endpoint.account}",
            )
        if status == 429:
            raise Unavailable(
                f"{endpoint.host} has had too many requests from here",
                code="registry-rate-limit",
                about=endpoint.host,
                hint=f'wait, log in, or set mirrors for registries."{endpoint.account}"',
            )
        raise Unavailable(
            f"{endpoint.host} answers {status} for {name}",
            code="registry-unreachable",
            about=endpoint.host,
            hint="try again later, or set mirrors for"
            f' registries."{endpoint.account}" in the settings',
        )

    def _broken(self, endpoint: Endpoint, error: Exception | None) -> Unavailable:
        why = f": {error}" if error is not None and str(error) else ""
        return Unavailable(
            f"the connection to {endpoint.host} breaks again and again{why}",
            code="registry-unreachable",
            about=endpoint.host,
            hint="try again later, or set mirrors for"
            f' registries."{endpoint.account}" in the settings',
        )

    def _mismatch(self, digest: str) -> Failed:
        return Failed(
            f"what came for {self._reference.familiar} is not {digest}",
            code="digest-mismatch",
            about=digest,
            hint="a proxy, a mirror or the registry is damaging it, or is not to be trusted",
        )


@asynccontextmanager
async def open_registry(reference: Reference, settings: Settings) -> AsyncIterator[Registry]:
    """The registry of a reference, its connections closed at the end of the block.

    Raises: InvalidInput: Docker's configuration file is malformed. Failed: a CA file is.
    """
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=_TIMEOUT,
        auto_decompress=False,
        read_bufsize=_READ_BUFFER,
        headers={"User-Agent": "pystack", "Accept-Encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        transports = [
            Transport(
                session,
                endpoint,
                await find_credentials(settings.docker_config, endpoint.account),
                await tls_for(endpoint),
            )
            for endpoint in endpoints(reference, settings.registries)
        ]
        yield Registry(reference, transports)
