"""The engine's error bodies, turned back into the error classes of `orchestrator.errors`."""

from __future__ import annotations

import json
from typing import Any

from orchestrator.errors import (
    Conflict,
    Denied,
    Failed,
    InvalidInput,
    NotFound,
    PystackError,
    Unavailable,
    Unsupported,
)

_BY_STATUS: dict[int, type[PystackError]] = {
    400: InvalidInput,
    401: Denied,
    403: Denied,
    404: NotFound,
    405: InvalidInput,
    409: Conflict,
    413: InvalidInput,
    422: InvalidInput,
    501: Unsupported,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def fault(status: int, body: bytes) -> PystackError:
    """The error that an answer of 400 and above carries; Docker's `{"message"}` alone will do."""
    try:
        fields = json.loads(body)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        text = body.decode("utf-8", "replace").strip()
        fields = {"message": text or f"the engine answered with status {status}"}
    return error_of(fields, status)


def error_of(fields: dict[str, Any] | str, status: int = 500) -> PystackError:
    """The error in `{"message", "code", "about", "hint"}`, or in a bare message.

    A line in a stream has no status; there the code alone tells what it is.
    """
    if isinstance(fields, str):
        fields = {"message": fields}
    code = str(fields.get("code") or f"http-{status}")
    cls = _BY_STATUS.get(status, Failed)
    if cls is Failed and code.startswith("no-such-"):
        cls = NotFound
    return cls(
        str(fields.get("message") or "the engine gave no reason"),
        code=code,
        about=str(fields.get("about") or ""),
        hint=str(fields.get("hint") or ""),
    )
