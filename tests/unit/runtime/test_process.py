"""Processes that are not our children: known beyond doubt, watched, their codes read."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from orchestrator.runtime.process import (
    alive,
    pid_start_time,
    read_exit_code,
    send_signal,
    wait_exit,
)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def test_a_process_is_known_by_pid_and_start(child: subprocess.Popen[bytes]) -> None:
    started = pid_start_time(child.pid)
    assert started > 0
    assert alive(child.pid, started)
    assert not alive(child.pid, started + 1)
    assert not alive(0, 0)
    assert pid_start_time(2**22) == 0


async def test_the_end_is_noticed_even_before_the_child_is_reaped(
    child: subprocess.Popen[bytes],
) -> None:
    started = pid_start_time(child.pid)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait_exit, child.pid, started)
        await anyio.wait_all_tasks_blocked()
        assert send_signal(child.pid, started, signal.SIGKILL)
    assert not alive(child.pid, started)


async def test_another_process_with_the_pid_is_never_waited_for_or_signalled(
    child: subprocess.Popen[bytes],
) -> None:
    with anyio.fail_after(1):
        await wait_exit(child.pid, pid_start_time(child.pid) - 1)
    assert not send_signal(child.pid, 1, signal.SIGKILL)
    assert child.poll() is None


def test_a_name_with_spaces_and_parentheses_is_no_trap(tmp_path: Path) -> None:
    odd = tmp_path / "a) b (c"
    odd.symlink_to("/bin/sleep")
    with subprocess.Popen([odd, "600"]) as process:
        assert pid_start_time(process.pid) >= pid_start_time(os.getpid())
        process.kill()


async def test_the_exit_code_is_read_when_it_comes(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("3")
    assert await read_exit_code(tmp_path, "id", 1.0) == 3
    found: list[int | None] = []

    async def read() -> None:
        found.append(await read_exit_code(tmp_path, "late", 5.0))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        (tmp_path / "half").write_text("137")
        (tmp_path / "half").rename(tmp_path / "late")
    assert found == [137]


async def test_a_code_that_never_comes_is_none(tmp_path: Path) -> None:
    assert await read_exit_code(tmp_path, "id", 0.05) is None
    assert await read_exit_code(tmp_path / "missing", "id", 5.0) is None
