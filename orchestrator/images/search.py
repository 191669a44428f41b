"""Looking for images by a word. Only Docker Hub and registries of the first generation can: the
distribution specification has no search.

Source: Engine API reference, "ImageSearch"; Docker Registry HTTP API V1, "Search".
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import anyio.to_thread

from orchestrator.errors import NotFound, Unavailable
from orchestrator.images.connect import open_session
from orchestrator.images.credentials import find_credentials
from orchestrator.images.endpoints import server
from orchestrator.images.refusal import refusal
from orchestrator.images.registry import said_by
from orchestrator.images.tls import tls_for
from orchestrator.images.transport import Transport
from orchestrator.settings import Settings
from orchestrator.wire.credentials import HUB, Credentials, domain_of

_HUB_SEARCH = "index.docker.io"
_ANSWER_MAX = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """One repository that was found."""

    name: str
    description: str = ""
    stars: int = 0
    official: bool = False
    automated: bool = False


async def search_images(
    term: str, limit: int, settings: Settings, credentials: Credentials | None = None
) -> Sequence[SearchResult]:
    """The repositories that a registry finds for a word: Docker Hub, or the registry whose host
    the term begins with (`registry.example/word`), the best first.

    Raises: NotFound: the registry has no search. Denied, Unavailable.
    """
    domain = domain_of(term)
    word = term if domain == HUB else term.partition("/")[2]
    endpoint = server(domain, settings.registries)
    if domain == HUB:
        endpoint = replace(endpoint, host=_HUB_SEARCH)
    known = credentials or await find_credentials(settings.docker_config, endpoint.account)
    tls = await anyio.to_thread.run_sync(tls_for, endpoint, settings.certs_dir)
    query = urllib.parse.urlencode({"q": word, "n": limit})
    async with (
        open_session(settings.registry_timeout_s) as session,
        Transport(session, endpoint, known, tls).request("GET", f"/v1/search?{query}") as response,
    ):
        if response.status == 404:
            raise no_search(endpoint.host)
        if response.status != 200:
            body = await said_by(response)
            raise refusal(endpoint, response.status, body, f'"{word}"', "searching for")
        found = await _results(response)
    if found is None:
        raise no_search(endpoint.host)
    return found[:limit]


def no_search(host: str) -> NotFound:
    """The error for a registry that cannot search."""
    return NotFound(
        f"{host} has no search: the standard for registries knows none",
        code="registry-no-search",
        about=host,
        hint=f"name the image in full and pull it: pystack pull {host}/NAME:TAG",
    )


async def _results(response: aiohttp.ClientResponse) -> list[SearchResult] | None:
    """What was found; None where the answer is not a search's."""
    data = bytearray()
    try:
        async for piece in response.content.iter_any():
            data += piece
            if len(data) > _ANSWER_MAX:
                return None
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(
            f"the connection to {response.url.host} broke off: {error}",
            code="registry-unreachable",
            about=str(response.url.host),
            hint="try again",
        ) from error
    try:
        return [_result(entry) for entry in json.loads(data)["results"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _result(entry: Any) -> SearchResult:
    return SearchResult(
        name=str(entry["name"]),
        description=str(entry.get("description") or ""),
        stars=int(entry.get("star_count") or 0),
        official=bool(entry.get("is_official")),
        automated=bool(entry.get("is_automated")),
    )
