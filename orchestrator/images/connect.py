"""Connections to registries: opened for a block of work, closed with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import anyio.to_thread

from orchestrator.images.credentials import find_credentials
from orchestrator.images.endpoints import endpoints
from orchestrator.images.reference import Reference
from orchestrator.images.registry import Registry
from orchestrator.images.tls import tls_for
from orchestrator.images.transport import Transport
from orchestrator.settings import Settings
from orchestrator.wire.credentials import Credentials

_READ_BUFFER = 1 << 20
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)


@asynccontextmanager
async def open_session() -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client as registries need it, closed with the block."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=_TIMEOUT,
        auto_decompress=False,
        read_bufsize=_READ_BUFFER,
        headers={"User-Agent": "pystack", "Accept-Encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        yield session


@asynccontextmanager
async def open_registry(
    reference: Reference,
    settings: Settings,
    credentials: Credentials | None = None,
    *,
    actions: str = "pull",
) -> AsyncIterator[Registry]:
    """The registry of a reference, its connections closed at the end of the block. `credentials`
    are for the registry itself; where None, and for mirrors, Docker's configuration file has them.
    `actions` are what a token is asked for: `pull`, or `pull,push`.

    Raises: InvalidInput: Docker's configuration file is malformed. Failed: a CA file is.
    """
    async with open_session() as session:
        transports = []
        for endpoint in endpoints(reference, settings.registries):
            given = None if endpoint.mirror else credentials
            scope = f"repository:{endpoint.prefix}{endpoint.repository}:"
            transports.append(
                Transport(
                    session,
                    endpoint,
                    given or await find_credentials(settings.docker_config, endpoint.account),
                    await anyio.to_thread.run_sync(tls_for, endpoint, settings.certs_dir),
                    [scope + ("pull" if endpoint.mirror else actions)],
                )
            )
        yield Registry(reference, transports, settings.max_manifest_bytes)
