"""A container's health from its probes.  Source: Docker's HEALTHCHECK and its `health.go`'s rules.

Deciding (`judged`) is pure; `watch_health` waits, probes and reports.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from orchestrator.errors import PystackError, Unavailable
from orchestrator.model.container import Healthcheck
from orchestrator.model.observed import Health, ProbeResult

Probe = Callable[[float], Awaitable[ProbeResult]]
HealthReport = Callable[[Health, int, ProbeResult], None]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is thought of the container's health after some probes."""

    health: Health = "starting"
    streak: int = 0
    """Failures in a row that count."""
    started: bool = False
    """Whether a probe succeeded, which ends the start period early."""


def judged(
    before: Judgement, check: Healthcheck, result: ProbeResult, *, started_at: float
) -> Judgement:
    """The judgement after one more probe.

    One success makes healthy. Failures make unhealthy when `retries` of them follow each other;
    those of a probe that began in the start period do not count until a probe has succeeded.
    """
    if result.exit_code == 0:
        return Judgement("healthy", 0, True)
    in_period = result.started_at - started_at < check.start_period_s
    if in_period and not before.started:
        return before
    streak = before.streak + 1
    health: Health = "unhealthy" if streak >= max(1, check.retries) else before.health
    return Judgement(health, streak, before.started)


def next_wait(judgement: Judgement, check: Healthcheck, *, now: float, started_at: float) -> float:
    """Seconds until the next probe begins: shorter in the start period, until one succeeded."""
    in_period = now - started_at < check.start_period_s
    if in_period and not judgement.started and check.start_interval_s > 0:
        return check.start_interval_s
    return check.interval_s


async def watch_health(
    check: Healthcheck,
    probe: Probe,
    report: HealthReport,
    *,
    started_at: float,
    health: Health = "starting",
    streak: int = 0,
    now: Callable[[], float] = time.time,
) -> None:
    """Probe until cancelled, and report each result with the health and failing streak after it.

    The first probe comes one interval after the start, each further one an interval after the last
    ended. `health` and `streak` are what an earlier engine knew. `now` is the clock that all times
    are of, which must not jump. A probe that cannot be made at all counts as failed; but where the
    runtime hangs that is not held against a container that was healthy.
    """
    judgement = Judgement(health, streak, started=health in ("healthy", "unhealthy"))
    while True:
        await anyio.sleep(next_wait(judgement, check, now=now(), started_at=started_at))
        began = now()
        try:
            result = await probe(check.timeout_s)
        except (PystackError, OSError) as error:
            result = ProbeResult(started_at=began, ended_at=now(), exit_code=-1, output=str(error))
            if judgement.health == "healthy" and isinstance(error, Unavailable):
                report(judgement.health, judgement.streak, result)
                continue
        judgement = judged(judgement, check, result, started_at=started_at)
        report(judgement.health, judgement.streak, result)
