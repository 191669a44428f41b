"""Records of stacks: what is wanted of each, and what was decided on the way there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.model.stack import Service, Stack

Wish = Literal["running", "created", "stopped", "removed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was decided about the update of a service that went wrong, and why."""

    action: Literal["pause", "rollback"]
    why: str

    def told(self, service: str) -> str:
        """The decision about that service's update, as a sentence."""
        done = "was rolled back" if self.action == "rollback" else "is paused"
        return f"the update of {service} {done}: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """A service as it was when it last ran well: its definition, and the id of its image."""

    service: Service
    image_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """A stack and how it is wanted.

    `since` (Unix seconds) is when the wish was made: a container that ended by itself after it is
    left ended, one that ended before it is started. The sets name services: `only` those wanted
    (all where empty) and, unless `no_deps`, what they need; `refresh` those whose image is pulled
    or built again though it is there; `force` those whose containers are replaced though nothing
    differs; `stopped` those that a person stopped. `started` and `restarted` say when (Unix
    seconds) a service was asked to be started, if it does not run, or anew. `never_recreate`
    leaves containers though something differs; `renew_volumes` gives replaced ones fresh anonymous
    volumes. `proven` and `verdicts` are by service: how it last ran well, and what was decided
    about an update that went wrong.
    """

    stack: Stack
    wish: Wish = "running"
    since: float = 0.0
    only: frozenset[str] = frozenset()
    no_deps: bool = False
    refresh: frozenset[str] = frozenset()
    force: frozenset[str] = frozenset()
    stopped: frozenset[str] = frozenset()
    started: Mapping[str, float] = field(default_factory=dict)
    restarted: Mapping[str, float] = field(default_factory=dict)
    never_recreate: bool = False
    renew_volumes: bool = False
    remove_orphans: bool = False
    ignore_orphans: bool = False
    remove_volumes: bool = False
    grace_s: float | None = None
    proven: Mapping[str, Proven] = field(default_factory=dict)
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)

    def since_of(self, service: str) -> float:
        """When (Unix seconds) the service was last asked to run."""
        return max(self.since, self.started.get(service, 0.0), self.restarted.get(service, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class StackRecord:
    """A stack's wish; `generation` counts the wishes, so that a waiter knows whether its own was
    met. `id` is the stack's name."""

    id: str
    generation: int
    desired: Desired
