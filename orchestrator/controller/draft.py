"""A plan as it grows, and the service that it is made for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.controller.desired import Specs, container_name
from orchestrator.controller.observed import Observed
from orchestrator.controller.plan import Action, Judgement, Plan, RemoveContainer
from orchestrator.model.observed import Container
from orchestrator.model.stack import Rollout, Service
from orchestrator.state.stacks import Desired


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A service as it is to be, from the very image `image_id` where that is given; with a
    `rollout` its containers are replaced step by step."""

    service: Service
    rollout: Rollout | None = None
    image_id: str = ""


@dataclass(slots=True, kw_only=True)
class Draft:
    """The plan as it grows; `done_by` maps a thing to the key of the action that makes it, and
    `leaving` holds the containers that go though nothing of their own differs."""

    desired: Desired
    observed: Observed
    specs: Specs = field(default_factory=Specs)
    actions: list[Action] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    wake_at: list[float] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    done_by: dict[str, str] = field(default_factory=dict)
    leaving: dict[str, str] = field(default_factory=dict)

    def add(self, action: Action, makes: str) -> None:
        self.actions.append(action)
        self.done_by[makes] = action.key

    def needs(self, things: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.done_by[t] for t in things if t in self.done_by))

    def remove_for(self, container: Container, reason: str) -> None:
        """Nothing; the container is removed, once, because something that it needs changes."""
        if container.id not in self.leaving:
            self.leaving[container.id] = reason
            action = RemoveContainer(name=container.name, id=container.id, reason=reason)
            self.add(action, f"gone {container.name}")

    def plan(self) -> Plan:
        return Plan(
            actions=tuple(self.actions),
            warnings=tuple(self.warnings),
            waiting=tuple(self.waiting),
            wake_at=min(self.wake_at, default=None),
            judgements=tuple(self.judgements),
        )

    def names(self, service_name: str) -> list[str]:
        """The names that the service's containers are to have."""
        stack = self.desired.stack
        service = stack.service(service_name)
        if service is None:
            return []
        return [container_name(stack, service, n) for n in range(1, service.scale + 1)]
