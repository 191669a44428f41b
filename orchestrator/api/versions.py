"""Versions of Docker's API, as requests ask for one and as every answer tells ours.

Source: the Docker Engine API reference, "Versioning"; moby's `api/server/middleware/version.go`
for the words that clients show.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from orchestrator import __version__
from orchestrator.errors import InvalidInput

API_VERSION = "1.45"
MIN_API_VERSION = "1.24"

# What each answer of Docker's says of the engine; clients decide by it how they go on.
HEADERS: Mapping[str, str] = {
    "Api-Version": API_VERSION,
    "Docker-Experimental": "false",
    "Ostype": "linux",
    "Server": f"pystack/{__version__} (linux)",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def check_version(asked: str) -> None:
    """Raises: InvalidInput: the version in a path is none, or one that is not served."""
    numbers = _numbers(asked)
    if numbers is None:
        raise InvalidInput(
            f"invalid API version: {asked!r}",
            code="api-version-invalid",
            about=asked,
            hint=f"ask for one between {MIN_API_VERSION} and {API_VERSION}",
        )
    if numbers > (_numbers(API_VERSION) or ()):
        raise InvalidInput(
            f"client version {asked} is too new. Maximum supported API version is {API_VERSION}",
            code="api-version-unsupported",
            about=asked,
            hint=f"set DOCKER_API_VERSION={API_VERSION}",
        )
    if numbers < (_numbers(MIN_API_VERSION) or ()):
        raise InvalidInput(
            f"client version {asked} is too old. Minimum supported API version is "
            f"{MIN_API_VERSION}, please upgrade your client to a newer version",
            code="api-version-unsupported",
            about=asked,
            hint=f"set DOCKER_API_VERSION={MIN_API_VERSION}",
        )


def _numbers(text: str) -> tuple[int, ...] | None:
    parts = text.split(".")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
        return None
    return tuple(int(part) for part in parts)


@web.middleware
async def versioned(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses versions that are not served, before the handler sees the request."""
    if asked := request.match_info.get("version"):
        check_version(asked)
    return await handler(request)


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """A signal: every answer that is prepared says which engine gives it."""
    for name, value in HEADERS.items():
        response.headers[name] = value
