"""Volumes that are made and removed at once."""

from __future__ import annotations

import threading
from pathlib import Path

import anyio
import pytest

from orchestrator.engine.events import Events
from orchestrator.engine.volumes import Volumes
from orchestrator.settings import Settings
from orchestrator.state.database import open_database
from orchestrator.volumes import local

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_volume_that_is_being_removed_is_made_anew_once_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        data_dir=tmp_path / "data",
        run_dir=tmp_path / "run",
        socket=tmp_path / "socket",
        log_file=tmp_path / "log",
        cgroup_parent="none",
    )
    go, removing, really = threading.Event(), threading.Event(), local.remove

    def slowly(directory: Path) -> None:
        removing.set()
        assert go.wait(10)
        really(directory)

    monkeypatch.setattr(local, "remove", slowly)
    with open_database(tmp_path / "state.db") as database, anyio.fail_after(10):
        volumes = Volumes(database, settings, Events(database.events))
        first = await volumes.ensure("data")
        (Path(first.mountpoint) / "old").touch()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(volumes.remove, "data")
            tasks.start_soon(volumes.remove, "data")
            await anyio.to_thread.run_sync(removing.wait)
            tasks.start_soon(volumes.ensure, "data")
            await anyio.wait_all_tasks_blocked()
            go.set()
        assert list(Path(volumes.get("data").mountpoint).iterdir()) == []
        told = [e.action for e in database.events.between(0, 1e12)]
        assert told == ["create", "destroy", "create"]
