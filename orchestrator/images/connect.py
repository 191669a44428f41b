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
_CONNECT_S = 10.0


@asynccontextmanager
async def open_session(timeout_s: float) -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client as registries need it, closed with the block. One that sends nothing for
    `timeout_s` seconds has failed, however long the whole takes."""
    connect_s = min(_CONNECT_S, timeout_s)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_s, sock_read=timeout_s)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=timeout,
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
    async with open_session(settings.registry_timeout_s) as session:
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
