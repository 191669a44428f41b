"""Health watched with real probes in real containers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio
import pytest

from orchestrator.model.container import Healthcheck
from orchestrator.model.observed import Health, ProbeResult
from orchestrator.runtime.choose import choose_runtime
from orchestrator.settings import Settings
from orchestrator.supervisor.health import watch_health
from tests.support.containers import Place, Running, make_root, without_unified_hierarchy


@pytest.fixture(autouse=True)
def crun_works() -> Iterator[None]:
    with without_unified_hierarchy():
        yield


@pytest.fixture
async def place(tmp_path: Path, cgroup_parent: str) -> Place:
    settings = Settings(
        data_dir=tmp_path / "data",
        run_dir=tmp_path / "run",
        socket=tmp_path / "socket",
        log_file=tmp_path / "log",
        cgroup_parent=cgroup_parent,
    )
    root = make_root(tmp_path / "root")
    return Place(await choose_runtime(settings), tmp_path, root, cgroup_parent)


class Watcher:
    """Probes a container and remembers what was reported."""

    def __init__(self, container: Running, *test: str) -> None:
        self._container = container
        self._test = test
        self._news = anyio.Event()
        self.seen: list[tuple[Health, int, ProbeResult]] = []

    async def probe(self, timeout_s: float) -> ProbeResult:
        began = time.time()
        try:
            done = await self._container.runtime.exec(
                self._container.id, self._test, timeout_s=timeout_s
            )
        except TimeoutError:
            return ProbeResult(started_at=began, ended_at=time.time(), exit_code=-1, output="late")
        return ProbeResult(
            started_at=began, ended_at=time.time(), exit_code=done.exit_code,
            output=done.stdout.decode(),
        )  # fmt: skip

    def report(self, health: Health, streak: int, result: ProbeResult) -> None:
        self.seen.append((health, streak, result))
        self._news.set()

    async def until(self, health: Health) -> ProbeResult:
        with anyio.fail_after(15):
            while not self.seen or self.seen[-1][0] != health:
                self._news = anyio.Event()
                await self._news.wait()
        return self.seen[-1][2]


async def test_health_follows_what_the_probe_finds(place: Place) -> None:
    check = Healthcheck(test=("CMD",), interval_s=0.05, timeout_s=5, retries=2)
    async with place.running("sleep", "600") as container, anyio.create_task_group() as tasks:
        watcher = Watcher(container, "sh", "-c", "cat /tmp/ok")
        tasks.start_soon(
            partial(watch_health, check, watcher.probe, watcher.report, started_at=time.time())
        )
        await watcher.until("unhealthy")
        assert [streak for _, streak, _ in watcher.seen] == [1, 2]
        (place.root / "tmp/ok").write_text("fine")
        assert (await watcher.until("healthy")).output == "fine"
        tasks.cancel_scope.cancel()


async def test_a_probe_that_hangs_is_a_failure(place: Place) -> None:
    check = Healthcheck(test=("CMD",), interval_s=0.05, timeout_s=0.3, retries=1)
    async with place.running("sleep", "600") as container, anyio.create_task_group() as tasks:
        watcher = Watcher(container, "sleep", "601")
        tasks.start_soon(
            partial(watch_health, check, watcher.probe, watcher.report, started_at=time.time())
        )
        assert (await watcher.until("unhealthy")).output == "late"
        tasks.cancel_scope.cancel()
