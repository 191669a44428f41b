"""What is to be done with one container of a service: made, replaced, kept, removed. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.controller.compare import Difference, difference
from orchestrator.controller.desired import container_name
from orchestrator.controller.draft import Draft, Target
from orchestrator.controller.due import due, outlived, owners_ready
from orchestrator.controller.ordering import mounted
from orchestrator.controller.plan import (
    Change,
    CreateContainer,
    Gate,
    RemoveContainer,
    RenameContainer,
    ReplaceContainer,
    RestartContainer,
    StartContainer,
    UpdateContainer,
)
from orchestrator.model.container import ContainerSpec
from orchestrator.model.observed import Container
from orchestrator.model.stack import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One container as it should be, and what its starting waits for."""

    number: int
    name: str
    spec: ContainerSpec
    image_id: str
    gates: tuple[Gate, ...]


def wanted_container(draft: Draft, target: Target, number: int) -> Wanted:
    """The service's container with that number, as it should be."""
    stack, service = draft.desired.stack, target.service
    gates = tuple(
        Gate(service=d.service, condition=d.condition)
        for d in service.depends_on
        if (d.required or stack.service(d.service) is not None) and not draft.desired.no_deps
    )
    return Wanted(
        number=number,
        name=container_name(stack, service, number),
        spec=draft.specs.of(stack, service, number),
        image_id=target.image_id,
        gates=gates,
    )


def differs(draft: Draft, target: Target, container: Container, number: int) -> Difference:
    """What the container differs in from the one with that number as it should be."""
    desired, service = draft.desired, target.service
    if desired.never_recreate:
        return Difference()
    spec = draft.specs.of(desired.stack, service, number)
    image_id = target.image_id or draft.observed.images.get(spec.image, "")
    found = difference(container, spec, image_id)
    if service.name in desired.force and container.created_at < desired.since_of(service.name):
        asked = Change(field="asked for")
        return Difference(changes=(asked, *found.changes), live=False)
    return found


def create(draft: Draft, target: Target, wanted: Wanted, name: str) -> None:
    """Nothing; the container is made, under that name for now, and started."""
    leaving = (f"gone {wanted.name}", f"gone {name}")
    needs = draft.needs([*_ingredients(draft, target.service), *leaving])
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
    start(draft, target, name, wanted)


def replace_container(draft: Draft, target: Target, old: Container, wanted: Wanted) -> None:
    """Nothing; the old container goes and the wanted one takes its place, running."""
    changes = differs(draft, target, old, wanted.number).changes
    if old.name != wanted.name:
        changes = (Change(field="name", was=old.name, now=wanted.name), *changes)
    renew = draft.desired.renew_volumes
    beside = f"{wanted.name}-next"
    if exclusive(wanted.spec) or old.name == beside:
        beside = ""
    draft.add(
        ReplaceContainer(
            name=wanted.name,
            old_id=old.id,
            spec=wanted.spec,
            image_id=wanted.image_id,
            kept_volumes={} if renew else _anonymous(old),
            needs=draft.needs([*_ingredients(draft, target.service), f"gone {beside}"]),
            beside=beside,
            changes=changes,
            drain=target.rollout is not None,
        ),
        f"container {wanted.name}",
    )
    start(draft, target, wanted.name, wanted)


def start(draft: Draft, target: Target, name: str, wanted: Wanted, reason: str = "") -> None:
    """Nothing; the container of that name is started in its turn, unless only making is wanted."""
    if draft.desired.wish == "created":
        return
    owners = owners_ready(draft, target.service)
    draft.add(
        StartContainer(
            name=name,
            needs=draft.needs([f"container {name}", f"renamed {name}", *owners]),
            gates=wanted.gates,
            reason=reason,
        ),
        f"started {name}",
    )


def keep(draft: Draft, target: Target, container: Container, wanted: Wanted) -> None:
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
    found = differs(draft, target, container, wanted.number)
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
    reason = due(container, draft.desired.since_of(target.service.name))
    if reason is not None:
        start(draft, target, wanted.name, wanted, reason)
    elif container.running and (reason := outlived(draft, target.service, container)):
        draft.add(
            RestartContainer(
                name=wanted.name,
                id=container.id,
                grace_s=draft.desired.grace_s,
                needs=draft.needs(owners_ready(draft, target.service, deps=True)),
                gates=wanted.gates,
                reason=reason,
            ),
            f"started {wanted.name}",
        )


def remove_stale(draft: Draft, container: Container, kept: Container) -> None:
    """Nothing; the container is removed, as the other one is there in its place."""
    draft.add(
        RemoveContainer(
            name=container.name,
            id=container.id,
            drain=True,
            reason=f"{kept.name} has taken its place",
        ),
        f"gone {container.name}",
    )


def exclusive(spec: ContainerSpec) -> bool:
    """Whether two containers of this specification cannot run at the same time."""
    return any(a.ipv4_address or a.ipv6_address or a.mac_address for a in spec.attachments)


def _ingredients(draft: Draft, service: Service) -> list[str]:
    """What must be there before a container of the service can be made."""
    spec = service.container
    return [
        f"image {spec.image}",
        *(f"network {a.network}" for a in spec.attachments),
        *(f"volume {m.source}" for m in spec.mounts if m.kind == "volume" and m.source),
        *(f"container {name}" for other in mounted(service) for name in draft.names(other)),
    ]


def _anonymous(container: Container) -> dict[str, str]:
    """The anonymous volumes of a container by where they are mounted."""
    named = {m.target for m in container.spec.mounts if m.source}
    return {
        m.target: m.source for m in container.mounts if m.kind == "volume" and m.target not in named
    }


def _left_volumes(draft: Draft, wanted: Wanted) -> dict[str, str]:
    """The anonymous volumes of the container that leaves the name for this one."""
    if draft.desired.renew_volumes:
        return {}
    leaving = draft.observed.containers.get(wanted.name)
    if leaving is None or leaving.id not in draft.leaving:
        return {}
    return _anonymous(leaving)
