"""How much of what comes to a shared port is a container's: who shares with whom, and how well it
is placed to take more. Pure."""

from __future__ import annotations

from orchestrator.errors import InvalidInput
from orchestrator.model.container import ContainerSpec
from orchestrator.model.observed import Container
from orchestrator.network.sharing import Standing
from orchestrator.state import labels

GROUP_LABEL = "pystack.port-group"
BALANCE_LABEL = "pystack.port-balance"
"""`source` sends all connections of one client address to the same container."""
MOST_WEIGHT = 1000


def group_of(spec: ContainerSpec) -> str:
    """What a container has in common with those that it may share ports with; "" for none."""
    if name := spec.labels.get(GROUP_LABEL):
        return f"group {name}"
    project, service = spec.labels.get(labels.PROJECT), spec.labels.get(labels.SERVICE)
    return f"service {project}/{service}" if project and service else ""


def standing_of(container: Container) -> Standing:
    """How well the container is placed to take new connections.

    Before its process runs it is starting, and from the moment that it is asked to stop others go
    before it, so that no client of a service meets a replica that comes or goes.
    """
    state = container.state
    if container.traffic.drained:
        return Standing.DRAINED
    if not container.running or state.health == "starting":
        return Standing.STARTING
    if state.health == "unhealthy" or state.stopped_by_user:
        return Standing.UNHEALTHY
    return Standing.READY


def checked_weight(weight: int) -> int:
    """The weight itself.  Raises: InvalidInput: it is none."""
    if not 0 <= weight <= MOST_WEIGHT:
        raise InvalidInput(
            f"a weight is a whole number from 0 to {MOST_WEIGHT}, not {weight}",
            code="weight-invalid",
            about=str(weight),
            hint="0 takes a container out, as draining does",
        )
    return weight
