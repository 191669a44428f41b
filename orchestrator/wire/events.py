"""Events as Docker's JSON, and which of them a watcher asked for.

Source: the Docker Engine API reference, version 1.45, "SystemEvents" (names and meanings).
"""

from __future__ import annotations

from typing import Any

from orchestrator.model.events import Event
from orchestrator.wire.filters import Filters

FILTERS = (
    "config", "container", "daemon", "event", "image", "label", "network", "node", "plugin",
    "scope", "secret", "service", "type", "volume",
)  # fmt: skip
_SCOPE = "local"
_NS = 1_000_000_000
# What these filters name is the thing that an event of their own type is about.
_NOUNS = ("config", "container", "daemon", "network", "node", "plugin", "secret", "service",
          "volume")  # fmt: skip
# Actions that say more after a colon are asked for by what comes before it.
_TALKATIVE = ("exec_create", "exec_start", "exec_die", "health_status")


def event_message(event: Event) -> dict[str, Any]:
    """A line of GET /events, with the members that it had before it had an actor."""
    old: dict[str, str] = {}
    if event.type in ("container", "image"):
        old = {"status": event.action, "id": event.id}
    if event.type == "container":
        old["from"] = event.attributes.get("image", "")
    return {
        **old,
        "Type": event.type,
        "Action": event.action,
        "Actor": {"ID": event.id, "Attributes": dict(event.attributes)},
        "scope": _SCOPE,
        "time": int(event.time),
        "timeNano": int(event.time * _NS),
    }


def wanted(event: Event, filters: Filters) -> bool:
    """Whether the event passes: one value of each filter, every label."""
    return (
        filters.exact("type", event.type)
        and filters.exact("scope", _SCOPE)
        and _action(event, filters)
        and all(_noun(event, noun, filters) for noun in _NOUNS)
        and _image(event, filters)
        and filters.labels(event.attributes)
    )


def _action(event: Event, filters: Filters) -> bool:
    action = event.action.partition(":")[0]
    if action in _TALKATIVE:
        return filters.exact("event", event.action, action) or any(
            value.startswith(action) and event.action.startswith(value)
            for value in filters["event"]
        )
    return filters.exact("event", event.action)


def _noun(event: Event, noun: str, filters: Filters) -> bool:
    if noun not in filters:
        return True
    attributes = event.attributes
    if event.type == noun:
        return filters.prefix(noun, event.id, attributes.get("name", event.id))
    # Networks tell which container came or went, volumes which one mounted them.
    return noun == "container" and filters.prefix(noun, attributes.get("container") or "\0")


def _image(event: Event, filters: Filters) -> bool:
    """By id or name, with or without its tag, of the image or of the container's image."""
    if "image" not in filters:
        return True
    if event.type not in ("image", "container"):
        return False
    name = event.attributes.get("name" if event.type == "image" else "image", "")
    found = [name, *([event.id] if event.type == "image" else [])]
    return filters.exact("image", *found, *(_spellings(each) for each in found if each)) or any(
        filters.exact("image", _untagged(each), _untagged(_spellings(each)))
        for each in found
        if each
    )


def _spellings(name: str) -> str:
    return name.removeprefix("docker.io/").removeprefix("library/")


def _untagged(name: str) -> str:
    repository, colon, tag = name.partition("@")[0].rpartition(":")
    return repository if colon and "/" not in tag else name
