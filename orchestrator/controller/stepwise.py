"""The containers of a service are replaced step by step, as its rollout says. Pure."""

from __future__ import annotations

from orchestrator.controller.containers import (
    create,
    exclusive,
    keep,
    remove_stale,
    replace_container,
    start,
    wanted_container,
)
from orchestrator.controller.draft import Draft, Target
from orchestrator.controller.plan import Judgement
from orchestrator.controller.rollout import Slot, next_step
from orchestrator.model.stack import Rollout
from orchestrator.state.stacks import Verdict


def is_update(draft: Draft, target: Target, slots: list[Slot]) -> bool:
    """Whether an earlier version of the service is there, or was proven, that this one follows."""
    if any(slot.stale for slot in slots):
        return True
    proven = draft.desired.proven.get(target.service.name)
    return proven is not None and proven.service.container != target.service.container


def plan_rollout(draft: Draft, target: Target, rollout: Rollout, slots: list[Slot]) -> None:
    """Nothing; the draft has the next step of the service's update."""
    desired, service = draft.desired, target.service
    verdict = desired.verdicts.get(service.name)
    if verdict is not None:
        draft.warnings.append(verdict.told(service.name))
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
        # What does not run need not be kept, and its name may be what others wait for.
        idle = not any(c.running for c in slot.stale)
        _rolled_slot(draft, target, slot, rollout, begin=slot.number in step.begin and not paused,
                     finish=(idle or slot.number in step.finish) and not paused)  # fmt: skip


def _rolled_slot(
    draft: Draft, target: Target, slot: Slot, rollout: Rollout, *, begin: bool, finish: bool
) -> None:
    wanted = wanted_container(draft, target, slot.number)
    if slot.fresh is not None:
        if finish or not slot.stale:
            for container in slot.stale:
                remove_stale(draft, container, slot.fresh)
            keep(draft, target, slot.fresh, wanted)
        elif slot.fresh.state.status == "created":
            start(draft, target, slot.fresh.name, wanted)
        return
    if not slot.stale:
        create(draft, target, wanted, wanted.name)
        return
    if not begin:
        return
    old, *others = slot.stale
    for container in others:
        remove_stale(draft, container, old)
    if rollout.order == "start-first" and old.running and not exclusive(wanted.spec):
        # Where an update that was interrupted has left one of that name, it goes first.
        name = wanted.name if old.name != wanted.name else f"{wanted.name}-next"
        create(draft, target, wanted, name)
    else:
        replace_container(draft, target, old, wanted)
