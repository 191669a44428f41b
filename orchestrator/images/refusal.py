"""A registry's refusals as errors a user can act on. Pure."""

from __future__ import annotations

import json

from orchestrator.errors import Denied, Failed, NotFound, PystackError, Unavailable
from orchestrator.images.endpoints import Endpoint

# The code of a registry that does not answer, or stops in the middle.
TIMEOUT = "registry-timeout"
_SAID_MAX = 300


def refusal(
    endpoint: Endpoint, status: int, body: bytes, name: str, doing: str, wanted: str = ""
) -> PystackError:
    """The error that an answer of status 400 and above means, while `doing` ("pulling") `name`.

    Source: OCI distribution specification 1.1, "Error Codes".
    """
    said = said_in(body)
    more = f": {said}" if said else ""
    if status == 404:
        part = f" ({wanted})" if ":" in wanted else ""
        if doing != "pulling":
            return NotFound(
                f"{endpoint.host} has no place for {name}{more}",
                code="no-such-repository",
                about=name,
                hint="check the name; some registries want the repository made first",
            )
        return NotFound(
            f"{endpoint.host} has no {name}{part}",
            code="no-such-image",
            about=name,
            hint="check the name and the tag; `pystack images` lists what is here",
        )
    if status in (401, 403):
        return Denied(
            f"{endpoint.host} forbids {doing} {name}{more}",
            code="registry-denied",
            about=name,
            hint=f"log in as somebody who may: pystack login {endpoint.account}",
        )
    if status == 429:
        return Unavailable(
            f"{endpoint.host} has had too many requests from here",
            code="registry-rate-limit",
            about=endpoint.host,
            hint=f'wait, log in, or set mirrors for registries."{endpoint.account}"',
        )
    if status < 500:
        return Failed(
            f"{endpoint.host} refuses {name} with {status}{more}",
            code="registry-refused",
            about=name,
            hint="the registry does not take images of this kind, or this name",
        )
    return Unavailable(
        f"{endpoint.host} answers {status} for {name}{more}",
        code="registry-unreachable",
        about=endpoint.host,
        hint=again_later(endpoint),
    )


def broken(endpoint: Endpoint, error: Exception | None) -> Unavailable:
    """The error of a connection that keeps breaking."""
    why = f": {error}" if error is not None and str(error) else ""
    problem = f"the connection to {endpoint.host} breaks again and again{why}"
    if isinstance(error, TimeoutError):
        problem = f"{endpoint.host} stopped in the middle, and does not go on"
    return Unavailable(
        problem,
        code=TIMEOUT if isinstance(error, TimeoutError) else "registry-unreachable",
        about=endpoint.host,
        hint=again_later(endpoint),
    )


def mismatch(digest: str, name: str) -> Failed:
    """The error of content that is not what its digest names."""
    return Failed(
        f"what came for {name} is not {digest}",
        code="digest-mismatch",
        about=digest,
        hint="a proxy, a mirror or the registry is damaging it, or is not to be trusted",
    )


def again_later(endpoint: Endpoint) -> str:
    """What to do about a registry that does not serve."""
    return f'try again later, or set mirrors for registries."{endpoint.account}" in the settings'


def said_in(body: bytes) -> str:
    """What the registry itself says in the body of a refusal, "" where that is nothing."""
    try:
        first = json.loads(body)["errors"][0]
        said = str(first.get("message") or first.get("code") or "")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return ""
    return " ".join(said.split())[:_SAID_MAX]
