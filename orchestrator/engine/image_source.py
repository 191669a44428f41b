"""The tar that `import URL` names, as it arrives."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import aiohttp

from orchestrator.errors import InvalidInput, NotFound, Unavailable

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=20, sock_read=60)
_PIECE = 1 << 20


async def fetched(url: str) -> AsyncGenerator[bytes]:
    """The bytes at an http or https address; without a scheme it is http, as docker has it.

    Raises: InvalidInput: another scheme. NotFound, Unavailable: the server has none, or fails.
    """
    if "://" not in url:
        url = f"http://{url}"
    if not url.startswith(("http://", "https://")):
        raise InvalidInput(
            f"{url} cannot be imported from",
            code="import-source-invalid",
            about=url,
            hint="give an http or https address, a file, or - for stdin",
        )
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=True) as session,
            session.get(url) as response,
        ):
            if response.status >= 400:
                raise NotFound(
                    f"{url}: the server answers {response.status} {response.reason}",
                    code="no-such-download",
                    about=url,
                    hint="check the address",
                )
            async for piece in response.content.iter_chunked(_PIECE):
                yield piece
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise Unavailable(
            f"{url} cannot be fetched: {str(error) or type(error).__name__}",
            code="download-failed",
            about=url,
            hint="check the address and the network",
        ) from error
