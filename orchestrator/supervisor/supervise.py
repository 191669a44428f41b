"""One running container, watched until it is to stay down.

Knows when to look, not what to do: the engine hands in what an exit, a probe and a restart mean.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial

import anyio
import structlog

from orchestrator.errors import PystackError
from orchestrator.model.container import Healthcheck
from orchestrator.model.observed import Container, Health, ProbeResult
from orchestrator.runtime.process import wait_exit
from orchestrator.supervisor.health import watch_health

_RETRY_MAX_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """What the supervisor calls: `exited` gives the seconds until a restart or None, `restart`
    the container running again or None where nobody wants it any more; `now` is the clock that all
    times are of."""

    healthcheck: Healthcheck | None
    probe: Callable[[Container, float], Awaitable[ProbeResult]]
    health: Callable[[str, Health, int, ProbeResult], None]
    exited: Callable[[str], Awaitable[float | None]]
    restart: Callable[[str], Awaitable[Container | None]]
    rotate: Callable[[Container], Coroutine[None, None, None]]
    now: Callable[[], float] = time.time


async def supervise(container: Container, reports: Reports) -> None:
    """Nothing, once the container has ended and is not to be started again."""
    current: Container | None = container
    delay: float | None = 0.0
    while current is not None:
        if current.running:
            await _watch(current, reports)
            delay = await reports.exited(current.id)
        if delay is None:
            return
        current = await _again(current, delay, reports)


async def _watch(container: Container, reports: Reports) -> None:
    """Nothing, once the container's first process has ended; its health is watched meanwhile."""
    async with anyio.create_task_group() as tasks:
        if reports.healthcheck is not None:
            tasks.start_soon(
                partial(
                    watch_health,
                    reports.healthcheck,
                    partial(reports.probe, container),
                    partial(reports.health, container.id),
                    started_at=container.state.started_at,
                    health=container.state.health,
                    streak=container.state.failing_streak,
                    now=reports.now,
                )
            )
        tasks.start_soon(reports.rotate, container)
        await wait_exit(container.state.pid, container.state.pid_started)
        tasks.cancel_scope.cancel()


async def _again(container: Container, delay: float, reports: Reports) -> Container | None:
    """The container running again after `delay` seconds; a start that fails is tried again, ever
    more slowly, as the policy wants it up."""
    while True:
        await anyio.sleep(delay)
        try:
            return await reports.restart(container.id)
        except PystackError as error:
            delay = min(_RETRY_MAX_S, max(0.1, delay * 2))
            structlog.get_logger().warning(
                "restart failed", container=container.name, error=str(error), again_in_s=delay
            )
