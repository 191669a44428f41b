"""The same containers where /sys/fs/cgroup is all v2."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from orchestrator.aio.libc import MNT_DETACH, mount, umount
from orchestrator.runtime.cgroups import CGROUPS, layout, remove_cgroup
from orchestrator.runtime.choose import choose_runtime
from orchestrator.settings import Settings
from tests.support.containers import Place, make_root


@pytest.fixture(autouse=True)
def v2() -> Iterator[None]:
    if layout() == "v2":
        yield
        return
    mount("cgroup2", str(CGROUPS), "cgroup2")
    try:
        yield
    finally:
        umount(str(CGROUPS), MNT_DETACH)


@pytest.fixture
async def place(tmp_path: Path, v2: None, cgroup_parent: str) -> AsyncIterator[Place]:
    settings = Settings(
        data_dir=tmp_path / "data",
        run_dir=tmp_path / "run",
        socket=tmp_path / "socket",
        log_file=tmp_path / "log",
        cgroup_parent=cgroup_parent,
    )
    root = make_root(tmp_path / "root")
    yield Place(await choose_runtime(settings), tmp_path, root, cgroup_parent)
    remove_cgroup(cgroup_parent)


async def test_a_container_runs_in_its_cgroup_and_leaves_none(place: Place) -> None:
    assert layout() == "v2"
    async with place.running("sleep", "600") as container:
        group = CGROUPS / place.cgroup_parent / container.id
        assert str(container.pid) in (group / "cgroup.procs").read_text().split()
        await place.runtime.kill(container.id, signal.SIGTERM, all=True)
        await place.runtime.kill(container.id, signal.SIGKILL)
        assert await container.ended() == 137
    assert not group.exists()


async def test_pausing_uses_the_freezer_of_v2(place: Place) -> None:
    async with place.running("sleep", "600") as container:
        await place.runtime.pause(container.id)
        assert await place.runtime.state(container.id) == "paused"
        await place.runtime.delete(container.id, force=True)
        assert await container.ended() == 137
