"""Files are watched by one inotify, whoever watches them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from asyncinotify import Mask

from orchestrator.aio.watching import Bell, watched


def inotifies() -> int:
    """How many inotify instances this process has."""
    found = 0
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208
        with suppress(FileNotFoundError):
            found += "inotify" in os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115
    return found


async def silent(bell: Bell) -> bool:
    """Whether the bell does not ring within the time in which others do."""
    with anyio.move_on_after(0.05) as scope:
        await bell.wait()
    return scope.cancelled_caught


async def test_a_change_rings_and_one_that_nobody_waited_for_is_not_lost(tmp_path: Path) -> None:
    with watched(tmp_path, Mask.CREATE) as bell, anyio.fail_after(5):
        (tmp_path / "a").touch()
        await anyio.lowlevel.checkpoint()
        await bell.wait()
        assert await silent(bell)
        (tmp_path / "b").touch()
        await bell.wait()


async def test_two_who_watch_the_same_are_told_what_each_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.touch()
    with watched(tmp_path, Mask.DELETE) as deleted, anyio.fail_after(5):
        with watched(tmp_path, Mask.MODIFY) as modified:
            file.write_text("x")
            await modified.wait()
            assert await silent(deleted)
        file.unlink()
        await deleted.wait()


async def test_a_path_that_goes_rings(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    with watched(directory, Mask.MODIFY) as bell, anyio.fail_after(5):
        directory.rmdir()
        await bell.wait()
    with pytest.raises(FileNotFoundError), watched(directory, Mask.MODIFY):
        pass


async def test_once_rings_once_and_can_be_asked_for_again(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.touch()
    for _ in range(2):
        with watched(file, Mask.MODIFY | Mask.ONESHOT) as bell, anyio.fail_after(5):
            file.write_text("x")
            await bell.wait()
            file.write_text("y")
            assert await silent(bell)


async def test_a_thousand_watches_take_one_inotify(tmp_path: Path) -> None:
    before = inotifies()
    async with anyio.create_task_group() as tasks:

        async def watch(directory: Path) -> None:
            with watched(directory, Mask.CREATE) as bell:
                await bell.wait()

        for number in range(1000):
            (tmp_path / str(number)).mkdir()
            tasks.start_soon(watch, tmp_path / str(number))
        await anyio.wait_all_tasks_blocked()
        assert inotifies() == before + 1
        with anyio.fail_after(10):
            for number in range(1000):
                (tmp_path / str(number) / "a").touch()
            await anyio.wait_all_tasks_blocked()
