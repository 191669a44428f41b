"""Events as Docker's JSON.

Source: the Docker Engine API reference, version 1.45 (field names and meanings).
"""

from __future__ import annotations

from typing import Any

from orchestrator.model.events import Event

_NS = 1_000_000_000


def event_message(event: Event) -> dict[str, Any]:
    """A line of GET /events."""
    return {
        "Type": event.type,
        "Action": event.action,
        "Actor": {"ID": event.id, "Attributes": dict(event.attributes)},
        "scope": "local",
        "time": int(event.time),
        "timeNano": int(event.time * _NS),
    }
