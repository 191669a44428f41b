"""One image's transfer among others: all of its layers are one subject's progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any


def as_one(
    reference: str, doing: str, done: str, lines: Callable[[], Iterator[Any]]
) -> Callable[[], Iterator[Any]]:
    """The progress of a transfer that is begun when this is called: `doing` ("Pulling") while the
    engine's lines come, `done` at their end."""
    subject = f"image {reference}"

    def run() -> Iterator[Any]:
        yield {"progress": {"subject": subject, "step": doing}}
        for line in lines():
            if line is None or "error" in line:
                yield line
            elif "id" in line and "progressDetail" in line:
                yield {"progress": _of_layer(subject, doing, line)}
        yield {"progress": {"subject": subject, "step": done, "done": True}}

    return run


def _of_layer(subject: str, doing: str, line: Mapping[str, Any]) -> dict[str, Any]:
    detail = line["progressDetail"]
    return {
        "subject": subject,
        "step": doing,
        "detail": line["id"],
        "current": detail.get("current", 0),
        "total": detail.get("total", 0),
    }
