"""The difference between what is wanted and what is, as a plan. Pure, total, sorted.

Level-triggered: nothing here knows what was done before, only what is there now.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.controller.desired import Specs
from orchestrator.controller.draft import Draft, Target
from orchestrator.controller.network_changes import network_changes
from orchestrator.controller.observed import Observed
from orchestrator.controller.ordering import needed, ordered
from orchestrator.controller.plan import (
    Action,
    BuildImage,
    CreateNetwork,
    CreateVolume,
    Plan,
    PullImage,
    RemoveContainer,
    RemoveNetwork,
    RemoveVolume,
    StopContainer,
)
from orchestrator.controller.service import plan_service
from orchestrator.model.observed import Container, Network
from orchestrator.model.stack import Service, Stack, StackNetwork
from orchestrator.state import labels
from orchestrator.state.stacks import Desired

__all__ = ["Desired", "diff"]


def diff(desired: Desired, observed: Observed, specs: Specs | None = None) -> Plan:
    """What must be done so that `observed` becomes `desired`; empty where nothing differs.

    Whoever asks again and again about one stack keeps its `specs`.
    """
    match desired.wish:
        case "removed":
            return _removal(desired, observed)
        case "stopped":
            return _stopping(desired, observed)
        case _:
            return _running(desired, observed, specs or Specs())


# -- up ------------------------------------------------------------------------------------


def _running(desired: Desired, observed: Observed, specs: Specs) -> Plan:
    draft = Draft(desired=desired, observed=observed, specs=specs)
    chosen = ordered(desired.stack, desired.only, no_deps=desired.no_deps)
    targets = [_target(desired, service) for service in chosen]
    for target in targets:
        _image(draft, target)
    _networks(draft, [t.service for t in targets])
    _volumes(draft, [t.service for t in targets])
    orphans = _orphans(desired, observed)
    if desired.remove_orphans:
        for orphan in orphans:
            draft.remove_for(orphan, "not in the stack file")
    _stop_some(draft, targets)
    for target in targets:
        if target.service.name not in desired.stopped:
            plan_service(draft, target)
    if not desired.remove_orphans and not desired.ignore_orphans:
        draft.warnings += _orphans_warning(orphans)
    return draft.plan()


def ingredients(desired: Desired, observed: Observed, service: Service) -> Plan:
    """What must be done so that a container of the service can be made."""
    draft = Draft(desired=desired, observed=observed)
    _image(draft, Target(service=service))
    _networks(draft, [service])
    _volumes(draft, [service])
    return draft.plan()


def _stop_some(draft: Draft, targets: list[Target]) -> None:
    """Nothing; the services that a person stopped are, each after those that depend on it."""
    desired, observed = draft.desired, draft.observed
    undoing = _Undoing(desired.stack, observed)
    for target in reversed(targets):
        name = target.service.name
        if name in desired.stopped:
            for container in observed.of_service(name):
                undoing.stop(container, name, desired.grace_s)
    draft.actions += undoing.actions


def _target(desired: Desired, service: Service) -> Target:
    """The service as it is to be now: as the file has it, or as it last ran well."""
    verdict, proven = desired.verdicts.get(service.name), desired.proven.get(service.name)
    if verdict is None or verdict.action != "rollback" or proven is None:
        return Target(service=service, rollout=service.update)
    return Target(
        service=proven.service,
        rollout=service.rollback or proven.service.rollback or service.update,
        image_id=proven.image_id,
    )


def _image(draft: Draft, target: Target) -> None:
    service = target.service
    reference = service.container.image
    thing = f"image {reference}"
    there = reference in draft.observed.images
    refresh = service.name in draft.desired.refresh
    if thing in draft.done_by or (there and not refresh) or service.scale == 0 or target.image_id:
        return
    reason = "asked for" if there else ""
    if service.build is not None:
        draft.add(BuildImage(reference=reference, build=service.build, reason=reason), thing)
    elif service.pull_policy != "never":
        draft.add(PullImage(reference=reference, always=refresh, reason=reason), thing)


def _networks(draft: Draft, services: list[Service]) -> None:
    used = {a.network for s in services for a in s.container.attachments}
    for network in draft.desired.stack.networks:
        if network.name not in used or network.external:
            continue
        real = draft.observed.networks.get(network.name)
        changed = [] if real is None else network_changes(real, network)
        needs: tuple[str, ...] = ()
        if real is not None:
            if not changed:
                continue
            reason = "; ".join(changed)
            for container in _attached(draft.observed, real):
                draft.remove_for(container, f"network {network.name} changes: {reason}")
            gone = draft.needs(f"gone {c.name}" for c in _attached(draft.observed, real))
            draft.add(
                RemoveNetwork(name=network.name, reason=reason, needs=gone),
                f"no network {network.name}",
            )
            needs = draft.needs([f"no network {network.name}"])
        draft.add(
            CreateNetwork(network=network, labels=_own(draft, network), needs=needs),
            f"network {network.name}",
        )


def _own(draft: Draft, network: StackNetwork) -> dict[str, str]:
    project = {labels.PROJECT: draft.desired.stack.name}
    return {**network.labels, **project, labels.NETWORK: network.key}


def _attached(observed: Observed, network: Network) -> list[Container]:
    return [
        c
        for _, c in sorted(observed.containers.items())
        if any(e.network_id == network.id for e in c.endpoints)
    ]


def _volumes(draft: Draft, services: list[Service]) -> None:
    used = {m.source for s in services for m in s.container.mounts if m.kind == "volume"}
    for volume in draft.desired.stack.volumes:
        if volume.name not in used or volume.external:
            continue
        real = draft.observed.volumes.get(volume.name)
        if real is None:
            project = {labels.PROJECT: draft.desired.stack.name}
            own = {**volume.labels, **project, labels.VOLUME: volume.key}
            draft.add(CreateVolume(volume=volume, labels=own), f"volume {volume.name}")
        elif (real.driver, dict(real.options)) != (volume.driver, dict(volume.options)):
            draft.warnings.append(
                f"volume {volume.name} is of another kind than the file says; its data would be"
                f" lost, so it is left alone (`pystack volume rm {volume.name}` removes it)"
            )


def _orphans(desired: Desired, observed: Observed) -> list[Container]:
    known = {s.name for s in desired.stack.services} | set(desired.stack.inactive)
    return [
        c
        for _, c in sorted(observed.containers.items())
        if c.spec.labels.get(labels.SERVICE) not in known
        and c.spec.labels.get(labels.ONEOFF) != "True"
    ]


def _orphans_warning(orphans: list[Container]) -> list[str]:
    if not orphans:
        return []
    names = ", ".join(c.name for c in orphans)
    return [f"{names}: not in the stack file any more; --remove-orphans removes such containers"]


# -- stop and down -------------------------------------------------------------------------


@dataclass(slots=True)
class _Undoing:
    """The plan that takes a stack down, as it grows."""

    stack: Stack
    observed: Observed
    actions: list[Action] = field(default_factory=list)
    done_by: dict[str, str] = field(default_factory=dict)
    _dependents: dict[str, list[str]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for other in self.stack.services:
            for service in needed(other):
                self._dependents.setdefault(service, []).append(other.name)

    def add(self, action: Action, makes: str) -> None:
        self.actions.append(action)
        self.done_by[makes] = action.key

    def stop(self, container: Container, service: str, grace_s: float | None) -> None:
        """Nothing; the container is stopped, where there is something to stop."""
        if container.running or container.state.status == "restarting":
            action = StopContainer(
                name=container.name,
                id=container.id,
                grace_s=grace_s,
                needs=self.dependents(service, "stopped"),
            )
            self.add(action, f"stopped {container.name}")

    def dependents(self, service: str, made: str) -> tuple[str, ...]:
        """The keys of what happens to the containers of the services that depend on this one."""
        names = [
            c.name
            for other in self._dependents.get(service, ())
            for c in self.observed.of_service(other)
        ]
        return self.needs(f"{made} {n}" for n in names)

    def needs(self, things: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.done_by[t] for t in things if t in self.done_by))


def _stopping(desired: Desired, observed: Observed) -> Plan:
    draft = _Undoing(desired.stack, observed)
    for service, container in _reversed(desired, observed):
        draft.stop(container, service, desired.grace_s)
    return Plan(actions=tuple(draft.actions))


def _removal(desired: Desired, observed: Observed) -> Plan:
    draft = _Undoing(desired.stack, observed)
    for service, container in _reversed(desired, observed):
        action = RemoveContainer(
            name=container.name,
            id=container.id,
            grace_s=desired.grace_s,
            volumes=desired.remove_volumes,
            needs=draft.dependents(service, "gone"),
        )
        draft.add(action, f"gone {container.name}")
    gone = tuple(draft.done_by.values())
    external = {n.name for n in desired.stack.networks if n.external}
    external |= {v.name for v in desired.stack.volumes if v.external}
    for network in sorted(observed.networks):
        if network not in external:
            draft.add(RemoveNetwork(name=network, needs=gone), f"no network {network}")
    if desired.remove_volumes:
        for volume in sorted(observed.volumes):
            if volume not in external:
                draft.add(RemoveVolume(name=volume, needs=gone), f"no volume {volume}")
    return Plan(actions=tuple(draft.actions))


def _reversed(desired: Desired, observed: Observed) -> list[tuple[str, Container]]:
    """The containers, each before those of the services that its own depends on."""
    result = [(c.spec.labels.get(labels.SERVICE, ""), c) for c in _orphans(desired, observed)]
    for service in reversed(ordered(desired.stack)):
        result += [(service.name, c) for c in reversed(observed.of_service(service.name))]
    known = {c.id for _, c in result}
    result += [("", c) for _, c in sorted(observed.containers.items()) if c.id not in known]
    return result
