"""Pulls, pushes and searches as Docker's JSON.

Source: the Docker Engine API reference, version 1.45, "ImageCreate", "ImagePush", "ImageSearch",
"DistributionInspect"; moby's pkg/jsonmessage for the lines of progress.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.errors import PystackError
from orchestrator.model.events import Progress

_STATUSES = {
    "waiting": "Pulling fs layer",
    "downloading": "Downloading",
    "unpacking": "Extracting",
    "layer done": "Pull complete",
    "already here": "Already exists",
    "preparing": "Preparing",
    "sending": "Pushing",
    "layer pushed": "Pushed",
    "already there": "Layer already exists",
    "loading layer": "Loading layer",
}
_WITH_AMOUNT = frozenset({"downloading", "sending", "loading layer"})
_BAR = 50


def layer_line(progress: Progress) -> dict[str, Any] | None:
    """A layer's progress as a line of the stream; None where it is not about a layer."""
    step = progress.step
    status = _STATUSES.get(step)
    if status is None and step.startswith("mounted from "):
        status = step.capitalize()
    if status is None:
        return None
    line: dict[str, Any] = {"status": status, "progressDetail": {}, "id": progress.detail}
    if step in _WITH_AMOUNT and progress.total:
        line["progressDetail"] = {"current": progress.current, "total": progress.total}
        line["progress"] = _bar(progress.current, progress.total)
    return line


def error_line(error: PystackError) -> dict[str, Any]:
    """The line that ends a stream whose work failed. `fault` is our own: what Docker's clients
    read has no place for it."""
    return {
        "errorDetail": {"message": error.message},
        "error": error.message,
        "fault": {
            "message": error.message,
            "code": error.code,
            "about": error.about,
            "hint": error.hint,
        },
    }


def pushed_lines(tag: str, digest: str, size_bytes: int) -> list[dict[str, Any]]:
    """The lines that end a push of one tag."""
    return [
        {"status": f"{tag}: digest: {digest} size: {size_bytes}"},
        {"progressDetail": {}, "aux": {"Tag": tag, "Digest": digest, "Size": size_bytes}},
    ]


def pulled_lines(name: str, digest: str, *, newer: bool) -> list[dict[str, Any]]:
    """The lines that end a pull of one name."""
    said = "Downloaded newer image for" if newer else "Image is up to date for"
    return [{"status": f"Digest: {digest}"}, {"status": f"Status: {said} {name}"}]


def search_entry(
    name: str, description: str, *, stars: int, official: bool, automated: bool
) -> dict[str, Any]:
    """An entry of GET /images/search."""
    return {
        "name": name,
        "description": description,
        "star_count": stars,
        "is_official": official,
        "is_automated": automated,
    }


def distribution(
    media_type: str, digest: str, size_bytes: int, platforms: Iterable[Mapping[str, str]]
) -> dict[str, Any]:
    """The body of GET /distribution/{name}/json."""
    return {
        "Descriptor": {"mediaType": media_type, "digest": digest, "size": size_bytes},
        "Platforms": [
            {key: value for key, value in platform.items() if value} for platform in platforms
        ],
    }


def _bar(current: int, total: int) -> str:
    """The text that old clients print: `[====>     ]  1.2MB/4.5MB`."""
    filled = min(_BAR, current * _BAR // total)
    arrow = "=" * filled + ">" if filled < _BAR else "=" * _BAR
    return f"[{arrow:<{_BAR}}] {_size(current):>9}/{_size(total)}"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.4g}{unit}"
        count /= 1000
    return f"{count:.4g}TB"
