"""Reading what a request asks for: its query's flags and its JSON body."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from orchestrator.errors import InvalidInput

_MOST = (1 << 63) - 1
_LONGEST = (1 << 16) - 1  # ioctl_tty(2), struct winsize


def flag(request: web.Request, name: str) -> bool:
    """Whether a query parameter says yes."""
    return request.query.get(name, "").lower() in ("1", "true", "yes")


def whole(request: web.Request, name: str, default: int = 0) -> int:
    """The whole number that a query parameter is, `default` where it is not given.

    Raises: InvalidInput: it is none, or one that does not fit 64 bits.
    """
    text = request.query.get(name) or str(default)
    try:
        number = int(text)
    except ValueError:
        number = _MOST + 1
    if abs(number) > _MOST:
        raise InvalidInput(
            f"{name}: {text!r} is not a number",
            code="bad-request",
            about=name,
            hint="send a whole number",
        )
    return number


def seconds(request: web.Request, name: str) -> float | None:
    """The seconds in a query's parameter, None where it is not given.  Raises: InvalidInput."""
    text = request.query.get(name)
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidInput(
            f"{name}: {text!r} is not a number of seconds",
            code="bad-request",
            about=name,
            hint="send seconds",
        )
    return number


def grace(request: web.Request) -> float | None:
    """The seconds in the query's `t`, None where it has none.  Raises: InvalidInput."""
    return seconds(request, "t")


def window_size(request: web.Request) -> tuple[int, int]:
    """The rows and columns in the query's `h` and `w`.  Raises: InvalidInput."""
    return terminal_size((request.query.get("h"), request.query.get("w")))


def terminal_size(given: Any) -> tuple[int, int]:
    """A terminal's rows and columns, as a pair of numbers says them.  Raises: InvalidInput."""
    try:
        rows, columns = (int(number) for number in given)
        if not 0 <= min(rows, columns) <= max(rows, columns) <= _LONGEST:
            raise ValueError(given)
    except (TypeError, ValueError):
        raise InvalidInput(
            "a terminal's size needs h and w, the numbers of its rows and columns",
            code="bad-request",
            about="h",
            hint="give both, as in ?h=24&w=80",
        ) from None
    return rows, columns


def texts(body: Mapping[str, Any], name: str) -> dict[str, str]:
    """The object of texts that a body has under this name, empty where it has none.

    Raises: InvalidInput: it is something else; a record of it could not be read again.
    """
    found = body.get(name) or {}
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise InvalidInput(
            f"{name} is not an object of texts",
            code="bad-request",
            about=name,
            hint='send names and texts: {"a": "b"}',
        )
    return found


def text(body: Mapping[str, Any], name: str) -> str:
    """The text that a body has under this name, "" where it has none.  Raises: InvalidInput."""
    found = body.get(name) or ""
    if not isinstance(found, str):
        raise InvalidInput(
            f"{name} is not a text", code="bad-request", about=name, hint="send a string"
        )
    return found


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
