"""What probes say about a container's health, by Docker's rules."""

from __future__ import annotations

import time

import anyio

from orchestrator.errors import Failed
from orchestrator.model.container import Healthcheck
from orchestrator.model.observed import Health, ProbeResult
from orchestrator.supervisor.health import Judgement, judged, next_wait, watch_health

CHECK = Healthcheck(test=("CMD", "x"), interval_s=30, start_period_s=10, start_interval_s=2)


def health_after(
    *probes: tuple[float, int], check: Healthcheck = CHECK
) -> list[tuple[Health, int]]:
    """Health and streak after each probe, given as (seconds since the start, exit code)."""
    judgement, seen = Judgement(), []
    for at, code in probes:
        result = ProbeResult(started_at=at, ended_at=at, exit_code=code, output="")
        judgement = judged(judgement, check, result, started_at=0.0)
        seen.append((judgement.health, judgement.streak))
    return seen


def test_failures_in_the_start_period_do_not_count() -> None:
    assert health_after((1, 1), (5, 1), (9, 1), (11, 1)) == [
        ("starting", 0), ("starting", 0), ("starting", 0), ("starting", 1)
    ]  # fmt: skip


def test_the_first_success_ends_the_start_period() -> None:
    assert health_after((1, 1), (2, 0), (3, 1), (4, 1), (5, 1)) == [
        ("starting", 0), ("healthy", 0), ("healthy", 1), ("healthy", 2), ("unhealthy", 3)
    ]  # fmt: skip


def test_only_failures_in_a_row_make_unhealthy() -> None:
    assert health_after((11, 1), (12, 1), (13, 0), (14, 1), (15, 1), (16, 1), (17, 0)) == [
        ("starting", 1), ("starting", 2), ("healthy", 0), ("healthy", 1), ("healthy", 2),
        ("unhealthy", 3), ("healthy", 0),
    ]  # fmt: skip


def test_every_code_but_zero_is_a_failure() -> None:
    check = Healthcheck(test=("CMD", "x"), retries=1)
    for code in (1, 2, 126, 137, -1):
        assert health_after((1, code), check=check) == [("unhealthy", 1)]


def test_probes_are_closer_together_until_the_start_is_over() -> None:
    def wait(judgement: Judgement, now: float) -> float:
        return next_wait(judgement, CHECK, now=now, started_at=0.0)

    assert wait(Judgement(), 5) == 2
    assert wait(Judgement(), 10) == 30
    assert wait(Judgement("healthy", 0, True), 5) == 30


async def test_watching_reports_every_probe_and_takes_errors_for_failures() -> None:
    check = Healthcheck(test=("CMD", "x"), interval_s=0.01, timeout_s=7, retries=2)
    answers = [0, 1, Failed("no container", code="x"), 0]
    seen: list[tuple[Health, int, int, str]] = []
    done = anyio.Event()

    async def probe(timeout: float) -> ProbeResult:
        assert timeout == 7
        answer = answers.pop(0)
        if isinstance(answer, Failed):
            raise answer
        return ProbeResult(started_at=time.time(), ended_at=0, exit_code=answer, output="")

    def report(health: Health, streak: int, result: ProbeResult) -> None:
        seen.append((health, streak, result.exit_code, result.output))
        if not answers:
            done.set()

    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            await watch_health(check, probe, report, started_at=time.time())

        tasks.start_soon(watch)
        with anyio.fail_after(5):
            await done.wait()
        tasks.cancel_scope.cancel()
    assert seen == [
        ("healthy", 0, 0, ""),
        ("healthy", 1, 1, ""),
        ("unhealthy", 2, -1, "no container"),
        ("healthy", 0, 0, ""),
    ]
