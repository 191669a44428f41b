"""The plan: what is to be done, in which order, and why. Values only.

The plan that is printed is the object that is executed. An action names the actions it `needs`
done first by their keys, and the `gates` that must be open: conditions of other services.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.model.container import ContainerSpec
from orchestrator.model.stack import Build, Condition, StackNetwork, StackVolume


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
class Action:
    """One thing to do; `reason` says why, "" where the verb alone says it."""

    needs: tuple[str, ...] = ()
    gates: tuple[Gate, ...] = ()
    reason: str = ""

    verb = ""

    @property
    def subject(self) -> str:
        raise NotImplementedError

    @property
    def key(self) -> str:
        return f"{self.verb} {self.subject}"

    def line(self) -> str:
        """The action as a person reads it."""
        text = self.key
        if self.reason:
            text += f": {self.reason}"
        if self.gates:
            text += f" (once {' and '.join(map(str, self.gates))})"
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class PullImage(Action):
    reference: str
    always: bool = False
    verb = "pull"

    @property
    def subject(self) -> str:
        return f"image {self.reference}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildImage(Action):
    reference: str
    build: Build
    verb = "build"

    @property
    def subject(self) -> str:
        return f"image {self.reference}"


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
class CreateContainer(Action):
    name: str
    spec: ContainerSpec
    verb = "create"

    @property
    def subject(self) -> str:
        return f"container {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceContainer(Action):
    """`kept_volumes` maps mount targets to the old container's anonymous volumes."""

    name: str
    old_id: str
    spec: ContainerSpec
    kept_volumes: Mapping[str, str] = field(default_factory=dict)
    verb = "replace"

    @property
    def subject(self) -> str:
        return f"container {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartContainer(Action):
    name: str
    verb = "start"

    @property
    def subject(self) -> str:
        return f"container {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopContainer(Action):
    name: str
    id: str
    grace_s: float | None = None
    verb = "stop"

    @property
    def subject(self) -> str:
        return f"container {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveContainer(Action):
    """The container is stopped first where it still runs."""

    name: str
    id: str
    grace_s: float | None = None
    volumes: bool = False
    verb = "remove"

    @property
    def subject(self) -> str:
        return f"container {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Actions in an order in which they could be done one by one."""

    actions: tuple[Action, ...] = ()
    warnings: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.actions)

    def lines(self) -> list[str]:
        """The plan as a person reads it."""
        return [action.line() for action in self.actions]
