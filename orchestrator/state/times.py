"""The times on record, by the engine's own clock."""

from __future__ import annotations

from orchestrator.state.database import Database


def latest_time(database: Database) -> float:
    """The latest time (Unix seconds) of a container or of a wish; 0.0 where there is none."""
    times = [0.0]
    for container in database.containers:
        state = container.state
        times += [container.created_at, state.started_at, state.finished_at]
    for record in database.stacks:
        desired = record.desired
        times += [desired.since, *desired.started.values(), *desired.restarted.values()]
    return max(times)
