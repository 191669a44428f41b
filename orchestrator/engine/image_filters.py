"""Which images a list shows and a prune removes: Docker's filters. Pure.

Source: Docker Engine API reference, "ImageList" and "ImagePrune"; Go's path.Match for references.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from orchestrator.images.reference import DEFAULT_DOMAIN, parse_reference
from orchestrator.model.image import Image
from orchestrator.wire.filters import Filters, invalid_value
from orchestrator.wire.images import familiar
from orchestrator.wire.times import moment_of

LISTING = ("dangling", "label", "label!", "before", "since", "until", "reference")
PRUNING = ("dangling", "label", "label!", "until")
_TIME = "24h, 1h30m, 2026-01-31T10:00:00 or a Unix time"


class Listed(NamedTuple):
    """An image in a list, and which of its tags and digests are shown."""

    image: Image
    tags: tuple[str, ...]
    digests: tuple[str, ...]


def listed(images: Iterable[Image], filters: Filters, get: Callable[[str], Image]) -> list[Listed]:
    """The images that pass, in their order, with the names that do; `get` finds those that before
    and since name.

    Raises: InvalidInput: a filter's value is wrong. What get raises.
    """
    until = _until(filters)
    before = min((get(name).created_at for name in filters["before"]), default=None)
    since = max((get(name).created_at for name in filters["since"]), default=None)
    dangling = filters.flag("dangling")
    expressions = [_expression(pattern) for pattern in filters["reference"]]
    found: list[Listed] = []
    for image in images:
        entry = Listed(image, image.tags, image.digests)
        if expressions:
            entry = Listed(
                image, _named(image.tags, expressions), _named(image.digests, expressions)
            )
            if not entry.tags and not entry.digests:
                continue
        if (
            (dangling is not None and dangling == bool(entry.tags))
            or (before is not None and image.created_at >= before)
            or (since is not None and image.created_at <= since)
            or (until is not None and image.created_at >= until)
            or not filters.labels(image.config.labels)
        ):
            continue
        found.append(entry)
    return found


def unused(
    images: Iterable[Image], filters: Filters, users: Callable[[Image], Sequence[object]]
) -> list[Image]:
    """The images that a prune removes: those without a tag, or every one where dangling is false,
    that nobody uses and that pass the filters.

    Raises: InvalidInput: a filter's value is wrong.
    """
    until = _until(filters)
    every = filters.flag("dangling") is False
    return [
        image
        for image in images
        if (every or not image.tags)
        and (until is None or image.created_at < until)
        and filters.labels(image.config.labels)
        and not users(image)
    ]


def _until(filters: Filters) -> float | None:
    now = time.time()
    return min(filters.each("until", lambda text: moment_of(text, now), _TIME), default=None)


def _named(names: Sequence[str], expressions: Sequence[re.Pattern[str]]) -> tuple[str, ...]:
    return tuple(
        name
        for name in names
        if any(e.fullmatch(form) for e in expressions for form in _forms(name))
    )


def _forms(name: str) -> tuple[str, ...]:
    """What a pattern may mean by a name: as people write it, with its tag or without."""
    reference = parse_reference(name)
    short = reference.familiar
    return short, short.removesuffix(name.removeprefix(reference.name))


def _expression(pattern: str) -> re.Pattern[str]:
    """A shell pattern whose wildcards stop at slashes; a plain name may be written in full."""
    if pattern.startswith(f"{DEFAULT_DOMAIN}/"):
        pattern = familiar(pattern)
    out: list[str] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*":
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[" and "]" in pattern[position + 1 :]:
            end = pattern.index("]", position + 1)
            inside = pattern[position:end].replace("\\", "\\\\").replace("[", "\\[")
            out.append(f"[{inside}]")
            position = end + 1
        elif char == "\\" and position < len(pattern):
            out.append(re.escape(pattern[position]))
            position += 1
        else:
            out.append(re.escape(char))
    try:
        return re.compile("".join(out))
    except re.error as error:
        raise invalid_value("reference", pattern, f"a pattern ({error})") from error
