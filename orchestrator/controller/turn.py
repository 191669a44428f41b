"""Whose turn it is to start a container that ended while no engine ran."""

from __future__ import annotations

from orchestrator.model.observed import Container
from orchestrator.state import labels
from orchestrator.state.database import Database


def started_in_order(database: Database, container: Container) -> bool:
    """Whether the container belongs to a stack that is wanted running: its loop starts it after
    what it depends on, and its own restart policy must not come first."""
    own = container.spec.labels
    record = database.stacks.get(own.get(labels.PROJECT, ""))
    if record is None or record.desired.wish != "running" or own.get(labels.ONEOFF) == "True":
        return False
    return record.desired.stack.service(own.get(labels.SERVICE, "")) is not None
