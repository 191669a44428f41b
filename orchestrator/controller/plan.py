"""The plan: what is to be done, in which order, and why. Values only.

The plan that is printed is the object that is executed. An action names the actions it `needs`
done first by their keys, and the `gates` that must be open: conditions of other services.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.model.container import ContainerSpec
from orchestrator.model.stack import Build, Condition, StackNetwork, StackVolume
from orchestrator.state.stacks import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A condition that another service must meet first."""

    service: str
    condition: Condition

    def __str__(self) -> str:
        words = {
            "service_started": "has started",
            "service_healthy": "is healthy",
            "service_completed_successfully": "has completed",
        }
        return f"{self.service} {words[self.condition]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One attribute that differs; the values are "" where they may be secrets or say too much."""

    field: str
    was: str = ""
    now: str = ""

    def __str__(self) -> str:
        if not self.was and not self.now:
            return self.field
        return f"{self.field} {self.was or '(none)'} -> {self.now or '(none)'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing to do, and why: `reason` in words, `changes` by attribute; neither where the verb
    alone says it."""

    needs: tuple[str, ...] = ()
    gates: tuple[Gate, ...] = ()
    reason: str = ""
    changes: tuple[Change, ...] = ()

    verb = ""

    @property
    def subject(self) -> str:
        raise NotImplementedError

    @property
    def key(self) -> str:
        return f"{self.verb} {self.subject}"

    @property
    def why(self) -> str:
        """The reason and the changes, as one phrase."""
        return "; ".join([*([self.reason] if self.reason else []), *map(str, self.changes)])

    def summary(self) -> dict[str, object]:
        """The action as a program reads it: plain values."""
        return {
            "verb": self.verb,
            "subject": self.subject,
            "reason": self.reason,
            "changes": [{"field": c.field, "was": c.was, "now": c.now} for c in self.changes],
            "needs": list(self.needs),
            "gates": [str(gate) for gate in self.gates],
        }

    def line(self) -> str:
        """The action as a person reads it."""
        text = self.key
        if why := self.why:
            text += f": {why}"
        if self.gates:
            text += f" (once {' and '.join(map(str, self.gates))})"
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class OfImage(Action):
    """An action on the image that a reference means."""

    reference: str

    @property
    def subject(self) -> str:
        return f"image {self.reference}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfContainer(Action):
    """An action on the container of a name."""

    name: str

    @property
    def subject(self) -> str:
        return f"container {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PullImage(OfImage):
    always: bool = False
    verb = "pull"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildImage(OfImage):
    build: Build
    verb = "build"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateNetwork(Action):
    network: StackNetwork
    labels: Mapping[str, str] = field(default_factory=dict)
    verb = "create"

    @property
    def subject(self) -> str:
        return f"network {self.network.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveNetwork(Action):
    name: str
    verb = "remove"

    @property
    def subject(self) -> str:
        return f"network {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateVolume(Action):
    volume: StackVolume
    labels: Mapping[str, str] = field(default_factory=dict)
    verb = "create"

    @property
    def subject(self) -> str:
        return f"volume {self.volume.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveVolume(Action):
    name: str
    verb = "remove"

    @property
    def subject(self) -> str:
        return f"volume {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateContainer(OfContainer):
    """`image_id` is the very image to use, "" for what the specification's name means now;
    `kept_volumes` maps mount targets to anonymous volumes of a container that was before."""

    spec: ContainerSpec
    image_id: str = ""
    kept_volumes: Mapping[str, str] = field(default_factory=dict)
    verb = "create"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceContainer(OfContainer):
    """`kept_volumes` maps mount targets to the old container's anonymous volumes; `drain` is as
    with RemoveContainer. With `beside`, a name, the new one is made under that first: what the old
    one kept is always in the record of one of them."""

    old_id: str
    spec: ContainerSpec
    image_id: str = ""
    drain: bool = False
    beside: str = ""
    kept_volumes: Mapping[str, str] = field(default_factory=dict)
    verb = "replace"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartContainer(OfContainer):
    verb = "start"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartContainer(OfContainer):
    id: str
    grace_s: float | None = None
    verb = "restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateContainer(OfContainer):
    """The running container takes the specification over as it is."""

    id: str
    spec: ContainerSpec
    verb = "update"


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameContainer(OfContainer):
    id: str
    new_name: str
    verb = "rename"

    @property
    def subject(self) -> str:
        return f"container {self.name} to {self.new_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopContainer(OfContainer):
    id: str
    grace_s: float | None = None
    verb = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveContainer(OfContainer):
    """The container is stopped first where it still runs; with `drain` the connections that it
    has by ports which others share are left to it for its grace first."""

    id: str
    grace_s: float | None = None
    volumes: bool = False
    drain: bool = False
    verb = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The update of a service went wrong: what becomes of it."""

    service: str
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Actions in an order in which they could be done one by one.

    `waiting` says what can only be waited for, until `wake_at` (Unix seconds) at the latest where
    that is given. `judgements` are to be noted before anything else is done: they change what is
    wanted, and so the plan.
    """

    actions: tuple[Action, ...] = ()
    warnings: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    wake_at: float | None = None
    judgements: tuple[Judgement, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.actions or self.waiting or self.judgements)

    def lines(self) -> list[str]:
        """The plan as a person reads it."""
        return [action.line() for action in self.actions]
