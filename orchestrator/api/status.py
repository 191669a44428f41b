"""Errors as HTTP: the one table of status codes."""

from __future__ import annotations

from orchestrator import errors

_STATUS: tuple[tuple[type[errors.PystackError], int], ...] = (
    (errors.InvalidInput, 400),
    (errors.Denied, 403),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.Unavailable, 503),
    (errors.Unsupported, 501),
    (errors.Failed, 500),
)
# A command that cannot be run is the request's fault, not the engine's, although it shows late.
_BY_CODE = {"command-not-found": 400, "command-not-executable": 400}


def status_of(error: errors.PystackError) -> int:
    """The HTTP status that answers this error."""
    if error.code in _BY_CODE:
        return _BY_CODE[error.code]
    return next((code for kind, code in _STATUS if isinstance(error, kind)), 500)


def body_of(error: errors.PystackError) -> dict[str, str]:
    """The JSON body that answers this error."""
    return {
        "message": error.message,
        "code": error.code,
        "about": str(error.about),  # what a client sent may be of any kind
        "hint": error.hint,
    }
