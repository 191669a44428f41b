"""What must be done so that the containers of one service are as they should be. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.controller.compare import Difference, difference
from orchestrator.controller.desired import container_name, container_spec
from orchestrator.controller.observed import Observed, number_of
from orchestrator.controller.ordering import namespace_owners
from orchestrator.controller.plan import (
    Action,
    Change,
    CreateContainer,
    Gate,
    Judgement,
    Plan,
    RemoveContainer,
    RenameContainer,
    ReplaceContainer,
    RestartContainer,
    StartContainer,
    UpdateContainer,
)
from orchestrator.controller.rollout import Slot, next_step
from orchestrator.model.container import ContainerSpec
from orchestrator.model.observed import Container
from orchestrator.model.stack import Rollout, Service
from orchestrator.state.stacks import Desired, Verdict

# A container that was killed from outside sooner than this after its start is taken to have
# ended by itself: starting it again at once would never end.
_KILLED_AFTER_S = 1.0
_BY_SIGKILL = 137


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """One container as it should be, and what its starting waits for."""

    number: int
    name: str
    spec: ContainerSpec
    image_id: str
    gates: tuple[Gate, ...]


def plan_service(draft: Draft, target: Target) -> None:
    """Nothing; the draft has what is to be done for the service."""
    service = target.service
    slots, surplus = _slots(draft, target)
    rolling = target.rollout is not None and _is_update(draft, target, slots)
    if not rolling or target.rollout is None:
        for slot in slots:
            _plain(draft, target, slot)
    else:
        _rolled(draft, target, target.rollout, slots)
    for container in surplus:
        draft.add(
            RemoveContainer(
                name=container.name,
                id=container.id,
                drain=True,
                reason=f"{service.name} has scale {service.scale}",
            ),
            f"gone {container.name}",
        )


def _slots(draft: Draft, target: Target) -> tuple[list[Slot], list[Container]]:
    """The service's containers by slot, and those whose number is beyond its scale."""
    service = target.service
    by_number: dict[int, list[Container]] = {}
    for container in draft.observed.of_service(service.name):
        if container.id not in draft.leaving:
            by_number.setdefault(number_of(container), []).append(container)
    slots = []
    for number in range(1, service.scale + 1):
        fresh: Container | None = None
        stale: list[Container] = []
        for container in sorted(by_number.pop(number, []), key=lambda c: c.created_at):
            found = _difference(draft, target, container, number)
            if found.changes and not found.live:
                stale.append(container)
            elif fresh is None:
                fresh = container
            else:
                stale.append(container)
        stale.sort(key=lambda c: (not c.running, c.state.health == "unhealthy", c.created_at))
        slots.append(Slot(number=number, fresh=fresh, stale=tuple(stale)))
    return slots, [c for number in sorted(by_number) for c in by_number[number]]


def _difference(draft: Draft, target: Target, container: Container, number: int) -> Difference:
    desired, service = draft.desired, target.service
    if desired.never_recreate:
        return Difference()
    spec = container_spec(desired.stack, service, number)
    image_id = target.image_id or draft.observed.images.get(spec.image, "")
    found = difference(container, spec, image_id)
    if service.name in desired.force and container.created_at < desired.since_of(service.name):
        asked = Change(field="asked for")
        return Difference(changes=(asked, *found.changes), live=False)
    return found


def _wanted(draft: Draft, target: Target, number: int) -> _Wanted:
    stack, service = draft.desired.stack, target.service
    gates = tuple(
        Gate(service=d.service, condition=d.condition)
        for d in service.depends_on
        if (d.required or stack.service(d.service) is not None) and not draft.desired.no_deps
    )
    return _Wanted(
        number=number,
        name=container_name(stack, service, number),
        spec=container_spec(stack, service, number),
        image_id=target.image_id,
        gates=gates,
    )


# -- all at once ---------------------------------------------------------------------------


def _plain(draft: Draft, target: Target, slot: Slot) -> None:
    """What is to be done in a slot whose service is not updated step by step."""
    wanted = _wanted(draft, target, slot.number)
    if slot.fresh is not None:
        for container in slot.stale:
            _remove_stale(draft, container, slot.fresh)
        _keep(draft, target, slot.fresh, wanted)
        return
    if not slot.stale:
        _create(draft, target, wanted, wanted.name)
        return
    old, *others = slot.stale
    for container in others:
        _remove_stale(draft, container, old)
    _replace(draft, target, old, wanted)


def _create(draft: Draft, target: Target, wanted: _Wanted, name: str) -> None:
    leaving = f"gone {wanted.name}"
    needs = draft.needs([*_ingredients(target.service), leaving])
    draft.add(
        CreateContainer(
            name=name,
            spec=wanted.spec,
            image_id=wanted.image_id,
            kept_volumes=_left_volumes(draft, wanted),
            needs=needs,
        ),
        f"container {name}",
    )
    _start(draft, target, name, wanted)


def _replace(draft: Draft, target: Target, old: Container, wanted: _Wanted) -> None:
    changes = _difference(draft, target, old, wanted.number).changes
    if old.name != wanted.name:
        changes = (Change(field="name", was=old.name, now=wanted.name), *changes)
    renew = draft.desired.renew_volumes
    draft.add(
        ReplaceContainer(
            name=wanted.name,
            old_id=old.id,
            spec=wanted.spec,
            image_id=wanted.image_id,
            kept_volumes={} if renew else _anonymous(old),
            needs=draft.needs(_ingredients(target.service)),
            changes=changes,
            drain=target.rollout is not None,
        ),
        f"container {wanted.name}",
    )
    _start(draft, target, wanted.name, wanted)


def _start(draft: Draft, target: Target, name: str, wanted: _Wanted, reason: str = "") -> None:
    if draft.desired.wish == "created":
        return
    owners = [f"started {n}" for n in _owner_names(draft, target.service)]
    draft.add(
        StartContainer(
            name=name,
            needs=draft.needs([f"container {name}", f"renamed {name}", *owners]),
            gates=wanted.gates,
            reason=reason,
        ),
        f"started {name}",
    )


def _keep(draft: Draft, target: Target, container: Container, wanted: _Wanted) -> None:
    """What is to be done with a container that needs no replacement."""
    if container.name != wanted.name:
        draft.add(
            RenameContainer(
                name=container.name,
                id=container.id,
                new_name=wanted.name,
                needs=draft.needs([f"gone {wanted.name}"]),
            ),
            f"renamed {wanted.name}",
        )
    found = _difference(draft, target, container, wanted.number)
    if found.changes:
        draft.add(
            UpdateContainer(
                name=wanted.name,
                id=container.id,
                spec=wanted.spec,
                changes=found.changes,
                needs=draft.needs([f"renamed {wanted.name}"]),
            ),
            f"updated {wanted.name}",
        )
    if draft.desired.wish == "created":
        return
    reason = _due(container, draft.desired.since_of(target.service.name))
    if reason is not None:
        _start(draft, target, wanted.name, wanted, reason)
    elif container.running and (reason := _outlived(draft, target.service, container)):
        draft.add(
            RestartContainer(
                name=wanted.name,
                id=container.id,
                grace_s=draft.desired.grace_s,
                needs=draft.needs(
                    [f"started {n}" for n in _owner_names(draft, target.service, deps=True)]
                ),
                gates=wanted.gates,
                reason=reason,
            ),
            f"started {wanted.name}",
        )


def _remove_stale(draft: Draft, container: Container, kept: Container) -> None:
    draft.add(
        RemoveContainer(
            name=container.name,
            id=container.id,
            drain=True,
            reason=f"{kept.name} has taken its place",
        ),
        f"gone {container.name}",
    )


# -- step by step --------------------------------------------------------------------------


def _is_update(draft: Draft, target: Target, slots: list[Slot]) -> bool:
    """Whether an earlier version of the service is there, or was proven, that this one follows."""
    if any(slot.stale for slot in slots):
        return True
    proven = draft.desired.proven.get(target.service.name)
    return proven is not None and proven.service.container != target.service.container


def _rolled(draft: Draft, target: Target, rollout: Rollout, slots: list[Slot]) -> None:
    desired, service = draft.desired, target.service
    verdict = desired.verdicts.get(service.name)
    if verdict is not None:
        draft.warnings.append(_verdict_warning(service.name, verdict))
    paused = verdict is not None and verdict.action == "pause"
    since = desired.since_of(service.name)
    step = next_step(slots, rollout, since=since, now=draft.observed.now)
    if step.failure and verdict is None and rollout.failure_action != "continue":
        can_go_back = rollout.failure_action == "rollback" and service.name in desired.proven
        verdict = Verdict(action="rollback" if can_go_back else "pause", why=step.failure)
        draft.judgements.append(Judgement(service=service.name, verdict=verdict))
        return
    if not paused:
        draft.waiting += [f"{service.name}: {text}" for text in step.waiting]
        draft.wake_at += [step.wake_at] if step.wake_at is not None else []
    for slot in slots:
        _rolled_slot(draft, target, slot, rollout, begin=slot.number in step.begin and not paused,
                     finish=slot.number in step.finish and not paused)  # fmt: skip


def _rolled_slot(
    draft: Draft, target: Target, slot: Slot, rollout: Rollout, *, begin: bool, finish: bool
) -> None:
    wanted = _wanted(draft, target, slot.number)
    if slot.fresh is not None:
        if finish:
            for container in slot.stale:
                _remove_stale(draft, container, slot.fresh)
        if finish or not slot.stale:
            _keep(draft, target, slot.fresh, wanted)
        elif slot.fresh.state.status == "created":
            _start(draft, target, slot.fresh.name, wanted)
        return
    if not slot.stale:
        _create(draft, target, wanted, wanted.name)
        return
    if not begin:
        return
    old, *others = slot.stale
    for container in others:
        _remove_stale(draft, container, old)
    if rollout.order == "start-first" and old.running and not _exclusive(wanted.spec):
        name = wanted.name if old.name != wanted.name else f"{wanted.name}-next"
        for container in others:
            if container.name == name:
                name = wanted.name if name != wanted.name else f"{wanted.name}-next"
        _create(draft, target, wanted, name)
    else:
        _replace(draft, target, old, wanted)


def _exclusive(spec: ContainerSpec) -> bool:
    """Whether two containers of this specification cannot run at the same time."""
    return any(a.ipv4_address or a.ipv6_address or a.mac_address for a in spec.attachments)


def _verdict_warning(service: str, verdict: Verdict) -> str:
    done = "was rolled back" if verdict.action == "rollback" else "is paused"
    return f"the update of {service} {done}: {verdict.why}"


# -- what a container needs, and when it is to be started -------------------------------------


def _ingredients(service: Service) -> list[str]:
    spec = service.container
    return [
        f"image {spec.image}",
        *(f"network {a.network}" for a in spec.attachments),
        *(f"volume {m.source}" for m in spec.mounts if m.kind == "volume" and m.source),
    ]


def _owner_names(draft: Draft, service: Service, *, deps: bool = False) -> list[str]:
    """The containers whose namespaces the service's share, and with `deps` those it follows."""
    owners = namespace_owners(service)
    if deps:
        owners += [d.service for d in service.depends_on if d.restart]
    return [name for owner in owners for name in _names(draft, owner)]


def _names(draft: Draft, service_name: str) -> list[str]:
    """The names of the service's containers."""
    stack = draft.desired.stack
    service = stack.service(service_name)
    if service is None:
        return []
    return [container_name(stack, service, n) for n in range(1, service.scale + 1)]


def _due(container: Container, since: float) -> str | None:
    """Why the container is to be started for a wish made at `since`, "" where nothing need be
    said; None where it is not."""
    state = container.state
    match state.status:
        case "running" | "paused" | "restarting" | "removing":
            return None
        case "created":
            return ""
        case _:
            ended = f"it ended with exit code {state.exit_code}"
            if state.finished_at < since:
                return ended
            if state.due:
                return f"{ended} while no engine ran"
            outside = state.exit_code == _BY_SIGKILL and not state.oom_killed
            long_enough = state.finished_at - state.started_at >= _KILLED_AFTER_S
            if outside and long_enough and not state.stopped_by_user:
                return "it was killed from outside"
            return None


def _outlived(draft: Draft, service: Service, container: Container) -> str:
    """Why a running container is to be started anew; "" where it is not."""
    desired, stack = draft.desired, draft.desired.stack
    began = container.state.started_at
    if desired.restarted.get(service.name, 0.0) > began:
        return "asked for"
    for name in namespace_owners(service):
        owners = draft.observed.of_service(name)
        anew = any(o.running and o.state.started_at > began for o in owners)
        if anew or any(f"started {n}" in draft.done_by for n in _names(draft, name)):
            return f"{name}, whose namespace it shares, is started anew"
    for dependency in service.depends_on:
        needed = stack.service(dependency.service)
        if not dependency.restart or needed is None:
            continue
        if desired.restarted.get(needed.name, 0.0) > began:
            return f"{needed.name}, which it depends on, was restarted"
        theirs = draft.observed.of_service(needed.name)
        replaced = any(c.created_at > began for c in theirs)
        names = _names(draft, needed.name)
        if replaced or any(f"container {n}" in draft.done_by for n in names):
            return f"{needed.name}, which it depends on, was replaced"
    return ""


def _anonymous(container: Container) -> dict[str, str]:
    """The anonymous volumes of a container by where they are mounted."""
    named = {m.target for m in container.spec.mounts if m.source}
    return {
        m.target: m.source for m in container.mounts if m.kind == "volume" and m.target not in named
    }


def _left_volumes(draft: Draft, wanted: _Wanted) -> dict[str, str]:
    """The anonymous volumes of the container that leaves the name for this one."""
    if draft.desired.renew_volumes:
        return {}
    leaving = draft.observed.containers.get(wanted.name)
    if leaving is None or leaving.id not in draft.leaving:
        return {}
    return _anonymous(leaving)
