"""How far the update of a service is, and what may be done next. Pure.

Everything is read from the containers as they are, so that an engine that comes after another in
the middle of an update goes on where that one was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.controller.gates import illness
from orchestrator.model.observed import Container
from orchestrator.model.stack import Rollout

Trial = Literal["proven", "pending", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One of a service's containers by number: the one that is as it should be, where there is
    one, and those that are not, the one to be kept longest first."""

    number: int
    fresh: Container | None = None
    stale: tuple[Container, ...] = ()

    @property
    def serving(self) -> bool:
        """Whether a container that is to be replaced does its work now."""
        return any(c.running and c.state.health != "unhealthy" for c in self.stale)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What may be done now: the numbers of the slots to be begun and of those to be finished
    (their stale containers go). `failure` says that too many new containers failed, and why;
    `waiting` what is waited for, until `wake_at` (Unix seconds)."""

    begin: tuple[int, ...] = ()
    finish: tuple[int, ...] = ()
    failure: str = ""
    waiting: tuple[str, ...] = ()
    wake_at: float | None = None


def next_step(slots: Sequence[Slot], rollout: Rollout, *, since: float, now: float) -> Step:
    """What may be done now in an update that was asked for at `since`."""
    tried = {
        slot.number: trial(slot.fresh, rollout, since=since, now=now)
        for slot in slots
        if slot.fresh is not None
    }
    failed = [slot for slot in slots if tried.get(slot.number) == "failed"]
    failure = ""
    if failed and len(failed) / len(slots) > rollout.max_failure_ratio:
        failure = "; ".join(_trouble(slot.fresh) for slot in failed if slot.fresh is not None)
    pending = [slot for slot in slots if tried.get(slot.number) == "pending"]
    finish = tuple(
        slot.number
        for slot in slots
        if slot.fresh is not None and slot.stale and tried[slot.number] != "pending"
        and not (failure and rollout.failure_action != "continue")
    )  # fmt: skip
    if failure and rollout.failure_action != "continue":
        return Step(failure=failure)
    open_slots = [slot for slot in slots if slot.fresh is None]
    # What does not serve any more is replaced first: nobody misses it.
    open_slots.sort(key=lambda slot: (slot.serving, slot.number))
    resume_at = _resume_at(slots, tried, rollout, since)
    waiting = [f"{_name(slot.fresh)} is watched" for slot in pending]
    ends = [at for slot in pending if (at := _ends_at(slot.fresh, rollout)) > now]
    room = (rollout.parallelism or len(slots)) - len(pending) - len(finish)
    begin: tuple[int, ...] = ()
    if open_slots and now < resume_at:
        waiting.append("the next group waits for its time")
        ends.append(resume_at)
    elif open_slots and room > 0:
        begin = tuple(slot.number for slot in open_slots[:room])
    return Step(
        begin=begin,
        finish=finish,
        failure=failure,
        waiting=tuple(waiting),
        wake_at=min(ends, default=None),
    )


def trial(container: Container, rollout: Rollout, *, since: float, now: float) -> Trial:
    """How a new container does: proven once it has run for the time it is watched and is not
    known to be ill."""
    state = container.state
    ours = container.created_at >= since
    if ours and _is_failing(container):
        return "failed"
    if not ours:
        return "proven"
    if not container.running or state.health == "starting":
        return "pending"
    return "proven" if now >= _ends_at(container, rollout) else "pending"


def _is_failing(container: Container) -> bool:
    state = container.state
    ended = state.status in ("exited", "dead") and state.exit_code != 0
    ended = ended or (not container.running and bool(state.error))
    restarted = state.restart_count > 0 and not state.stopped_by_user
    return ended or restarted or state.status == "restarting" or state.health == "unhealthy"


def _ends_at(container: Container | None, rollout: Rollout) -> float:
    """When the time of watching ends; 0 where it has not begun."""
    if container is None or not container.state.started_at:
        return 0.0
    return container.state.started_at + rollout.monitor_s


def _resume_at(
    slots: Sequence[Slot], tried: dict[int, Trial], rollout: Rollout, since: float
) -> float:
    """When the next group may begin: `delay_s` after the last of the group before was proven."""
    proven = [
        _ends_at(slot.fresh, rollout)
        for slot in slots
        if tried.get(slot.number) == "proven"
        and slot.fresh is not None
        and slot.fresh.created_at >= since
    ]
    return max(proven) + rollout.delay_s if proven else 0.0


def _trouble(container: Container) -> str:
    state = container.state
    if state.health == "unhealthy":
        return f"{container.name} {illness(container)}"
    if state.error:
        return f"{container.name}: {state.error}"
    return f"{container.name} ended with exit code {state.exit_code}"


def _name(container: Container | None) -> str:
    return container.name if container is not None else ""
