"""Whether a condition of another service is met. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orchestrator.controller.observed import Observed
from orchestrator.controller.plan import Gate
from orchestrator.model.observed import Container
from orchestrator.state.stacks import Desired


@dataclass(frozen=True, slots=True, kw_only=True)
class GateState:
    """`open`, `shut` (wait), or `broken`: it will not open unless something changes, see `why`."""

    state: Literal["open", "shut", "broken"]
    why: str = ""


# After so many restarts in a row nobody waits for the container any more.
CRASH_LOOP = 3
_OPEN = GateState(state="open")


def gate_state(gate: Gate, observed: Observed, desired: Desired) -> GateState:
    """How the gate is now, for what is wanted."""
    since = desired.since_of(gate.service)
    containers = observed.of_service(gate.service)
    if not containers:
        return GateState(state="shut", why=f"{gate.service} has no container yet")
    states = [_of_container(gate, c, since) for c in containers]
    for wanted in ("broken", "shut"):
        for state in states:
            if state.state == wanted:
                return state
    return _OPEN


def crash_loop(container: Container) -> str:
    """What is said of a container that ends again and again; "" of any other."""
    state = container.state
    if state.restart_count < CRASH_LOOP or state.health == "healthy":
        return ""
    last = f" with exit code {state.exit_code}" if state.exit_code else ""
    return (
        f"{container.name} does not stay up: it ended{last} and was started again"
        f" {state.restart_count} times"
    )


def illness(container: Container) -> str:
    """What is said of an unhealthy container, with the last words of its probe."""
    log = container.state.health_log
    said = log[-1].output.strip() if log else ""
    return "is unhealthy" + (f": {said}" if said else "")


def _of_container(gate: Gate, container: Container, since: float) -> GateState:
    state = container.state
    if looping := crash_loop(container):
        return GateState(state="broken", why=looping)
    ended = state.status in ("exited", "dead") and state.finished_at >= since and not state.due
    waiting = GateState(state="shut", why=f"{container.name} is {state.status}")
    match gate.condition:
        case "service_started":
            return _OPEN if container.running or ended else waiting
        case "service_completed_successfully":
            if not ended:
                return waiting
            if state.exit_code == 0:
                return _OPEN
            return GateState(
                state="broken", why=f"{container.name} ended with exit code {state.exit_code}"
            )
        case _:
            return _healthy(container, ended, waiting)


def _healthy(container: Container, ended: bool, waiting: GateState) -> GateState:
    if ended:
        return GateState(
            state="broken",
            why=f"{container.name} ended with exit code {container.state.exit_code}",
        )
    if not container.running:
        return waiting
    match container.state.health:
        case "healthy":
            return _OPEN
        case "none":
            return GateState(state="broken", why=f"{container.name} has no health check")
        case "unhealthy":
            return GateState(state="broken", why=f"{container.name} {illness(container)}")
        case _:
            return GateState(state="shut", why=f"{container.name} is starting")
