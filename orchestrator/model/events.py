"""Facts as they happen: what the engine tells the controller, the API's watchers and history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

EventType = Literal[
    "container", "image", "network", "volume", "builder", "stack", "daemon", "secret", "config"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to `id`; `time` is Unix seconds.

    Types and actions are Docker's ("container", "die") where Docker has a word.
    """

    type: EventType
    action: str
    id: str
    time: float
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A step of one piece of work, for a person to watch.

    `subject` is what is worked on ("image redis:7", "container demo-web-1"), `step` a word
    ("pulling", "created", "error"); `current` and `total` are bytes where they are known.
    """

    subject: str
    step: str
    detail: str = ""
    current: int = 0
    total: int = 0
    done: bool = False


Report = Callable[[Progress], None]
