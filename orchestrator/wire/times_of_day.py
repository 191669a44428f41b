"""A container's times as the machine's time of day has them now. Pure."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.model.observed import Container


def by_time_of_day(container: Container, drift_s: float) -> Container:
    """The container with its times moved by what the machine's clock is before the engine's: what
    ran for five minutes did so whatever the clock was set to. The same one where that is 0."""
    if not drift_s:
        return container

    def moved(moment: float) -> float:
        return moment + drift_s if moment else 0.0

    state = container.state
    log = tuple(
        replace(p, started_at=moved(p.started_at), ended_at=moved(p.ended_at))
        for p in state.health_log
    )
    state = replace(
        state,
        started_at=moved(state.started_at),
        finished_at=moved(state.finished_at),
        health_log=log,
    )
    return replace(container, created_at=moved(container.created_at), state=state)
