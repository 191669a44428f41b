"""How long ago something was, as people say it. Pure."""

from __future__ import annotations


def ago(seconds: float) -> str:
    """A span of time in words, as Docker's clients write it: `3 minutes`.

    Source: go-units' HumanDuration.
    """
    whole = max(0, int(seconds))
    minutes, hours = whole // 60, int(seconds / 3600 + 0.5)
    steps = (
        (whole < 1, "Less than a second"),
        (whole == 1, "1 second"),
        (whole < 60, f"{whole} seconds"),
        (minutes == 1, "About a minute"),
        (minutes < 60, f"{minutes} minutes"),
        (hours == 1, "About an hour"),
        (hours < 48, f"{hours} hours"),
        (hours < 24 * 7 * 2, f"{hours // 24} days"),
        (hours < 24 * 30 * 2, f"{hours // 24 // 7} weeks"),
        (hours < 24 * 365 * 2, f"{hours // 24 // 30} months"),
    )
    years = f"{hours // 24 // 365} years"
    return next((text for applies, text in steps if applies), years)
