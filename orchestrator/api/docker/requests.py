"""Reading what a request asks for: its query's flags and its JSON body."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from orchestrator.errors import InvalidInput


def flag(request: web.Request, name: str) -> bool:
    """Whether a query parameter says yes."""
    return request.query.get(name, "").lower() in ("1", "true", "yes")


def grace(request: web.Request) -> float | None:
    """The seconds in the query's `t`, None where it has none.  Raises: InvalidInput."""
    text = request.query.get("t")
    try:
        return float(text) if text else None
    except ValueError as error:
        raise InvalidInput(
            f"t: {text!r} is not a number of seconds",
            code="bad-request",
            about="t",
            hint="send seconds, -1 for ever",
        ) from error


def window_size(request: web.Request) -> tuple[int, int]:
    """The rows and columns in the query's `h` and `w`.  Raises: InvalidInput."""
    try:
        return int(request.query["h"]), int(request.query["w"])
    except (KeyError, ValueError):
        raise InvalidInput(
            "a terminal's size needs h and w, the numbers of its rows and columns",
            code="bad-request",
            about="h",
            hint="give both, as in ?h=24&w=80",
        ) from None


async def json_body(request: web.Request) -> dict[str, Any]:
    """The request's JSON object.  Raises: InvalidInput."""
    try:
        body = msgspec.json.decode(await request.read() or b"{}")
    except msgspec.DecodeError as error:
        raise InvalidInput(
            f"the request's body is not JSON: {error}",
            code="bad-request",
            about="body",
            hint="send a JSON object",
        ) from error
    if not isinstance(body, dict):
        raise InvalidInput(
            "the request's body is not a JSON object",
            code="bad-request",
            about="body",
            hint="send a JSON object",
        )
    return body
