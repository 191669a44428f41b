"""Moments and spans as Docker writes them.

Source: the Docker Engine API reference, version 1.45 (field names and meanings).
"""

from __future__ import annotations

from datetime import UTC, datetime

_NEVER = "0001-01-01T00:00:00Z"


def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC with nanosecond digits; the year 1 where the thing has not happened."""
    if seconds <= 0:
        return _NEVER
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond:06d}000Z"


_AGES = (
    (1, "Less than a second"),
    (2, "1 second"),
    (60, "{seconds} seconds"),
    (120, "About a minute"),
    (46 * 60, "{minutes} minutes"),
    (90 * 60, "About an hour"),
    (48 * 3600, "{hours} hours"),
    (14 * 86400, "{days} days"),
    (60 * 86400, "{weeks} weeks"),
    (2 * 365 * 86400, "{months} months"),
)


def ago(seconds: float) -> str:
    """A span of time in words, as Docker's clients write it."""
    whole = max(0, int(seconds))
    units = {
        "seconds": whole,
        "minutes": whole // 60,
        "hours": round(whole / 3600),
        "days": whole // 86400,
        "weeks": whole // (7 * 86400),
        "months": whole // (30 * 86400),
    }
    for limit, words in _AGES:
        if whole < limit:
            return words.format(**units)
    return f"{whole // (365 * 86400)} years"
