"""Moments and spans as Docker writes them, and moments as its users do.

Source: the Docker Engine API reference, version 1.45 (field names and meanings).
"""

from __future__ import annotations

from datetime import UTC, datetime

from orchestrator.errors import InvalidInput
from orchestrator.model.quantities import parse_duration

_NEVER = "0001-01-01T00:00:00Z"


def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC with nanosecond digits; the year 1 where the thing has not happened."""
    if seconds <= 0:
        return _NEVER
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond:06d}000Z"


def date(seconds: float) -> str:
    """RFC 3339 in UTC with whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_of(text: str, now: float) -> float:
    """The Unix time that a text means: seconds (`1700000000.5`), a date, or a span before `now`.

    A date without a zone is in this machine's.
    Raises: ValueError: it is none of these.
    """
    if text.replace(".", "", 1).isdigit():
        return float(text)
    try:
        if not text[:4].isdigit() or "-" not in text:
            return now - parse_duration(text)
        return datetime.fromisoformat(text).astimezone().timestamp()
    except (InvalidInput, ValueError) as error:
        raise ValueError(f"{text!r} is not a time") from error
