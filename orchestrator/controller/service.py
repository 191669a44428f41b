"""What must be done so that the containers of one service are as they should be. Pure."""

from __future__ import annotations

from orchestrator.controller.containers import (
    create,
    differs,
    keep,
    remove_stale,
    replace_container,
    wanted_container,
)
from orchestrator.controller.draft import Draft, Target
from orchestrator.controller.observed import number_of
from orchestrator.controller.plan import RemoveContainer
from orchestrator.controller.rollout import Slot
from orchestrator.controller.stepwise import is_update, plan_rollout
from orchestrator.model.observed import Container


def plan_service(draft: Draft, target: Target) -> None:
    """Nothing; the draft has what is to be done for the service."""
    service = target.service
    slots, surplus = _slots(draft, target)
    rolling = target.rollout is not None and is_update(draft, target, slots)
    if not rolling or target.rollout is None:
        for slot in slots:
            _plain(draft, target, slot)
    else:
        plan_rollout(draft, target, target.rollout, slots)
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
            found = differs(draft, target, container, number)
            if found.changes and not found.live:
                stale.append(container)
            elif fresh is None:
                fresh = container
            else:
                stale.append(container)
        stale.sort(key=lambda c: (not c.running, c.state.health == "unhealthy", c.created_at))
        slots.append(Slot(number=number, fresh=fresh, stale=tuple(stale)))
    return slots, [c for number in sorted(by_number) for c in by_number[number]]


def _plain(draft: Draft, target: Target, slot: Slot) -> None:
    """What is to be done in a slot whose service is not updated step by step."""
    wanted = wanted_container(draft, target, slot.number)
    if slot.fresh is not None:
        for container in slot.stale:
            remove_stale(draft, container, slot.fresh)
        keep(draft, target, slot.fresh, wanted)
        return
    if not slot.stale:
        create(draft, target, wanted, wanted.name)
        return
    old, *others = slot.stale
    for container in others:
        remove_stale(draft, container, old)
    replace_container(draft, target, old, wanted)
