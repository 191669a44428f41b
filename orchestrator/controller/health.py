"""Whether a stack is ready, for `up --wait`. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.controller.gates import crash_loop, illness
from orchestrator.controller.observed import Observed
from orchestrator.model.stack import Stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """`pending` says that it is not known yet; else `failed` names a container and what is wrong,
    "" where all is well."""

    pending: bool = False
    container: str = ""
    failed: str = ""


def readiness(
    observed: Observed, stack: Stack, services: frozenset[str], since: float
) -> Readiness:
    """How the containers of those services (all where empty) are, for a wish made at `since`."""
    pending = False
    for service in stack.services:
        if services and service.name not in services:
            continue
        for container in observed.of_service(service.name):
            state = container.state
            if why := crash_loop(container):
                return Readiness(
                    container=container.name, failed=why.removeprefix(f"{container.name} ")
                )
            if state.status in ("exited", "dead") and state.finished_at >= since:
                if state.exit_code != 0:
                    why = f"ended with exit code {state.exit_code}"
                    return Readiness(container=container.name, failed=why)
            elif container.running and state.health == "unhealthy":
                return Readiness(container=container.name, failed=illness(container))
            elif not container.running or state.health == "starting":
                pending = True
    return Readiness(pending=pending)
