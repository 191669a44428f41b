"""run_process against real programs: exit codes, output, time-outs, stubborn descendants."""

from __future__ import annotations

import os
import signal
import time

import anyio
import pytest

from orchestrator.aio.process import Completed, run_process


async def test_exit_code_and_both_outputs_come_back() -> None:
    assert await run_process(["sh", "-c", "echo out; echo err >&2; exit 7"]) == Completed(
        7, b"out\n", b"err\n"
    )


async def test_stdin_is_fed_whole_and_more_than_a_pipe_holds() -> None:
    data = os.urandom(1 << 20)
    assert await run_process(["cat"], stdin=data) == Completed(0, data, b"")


async def test_a_child_that_does_not_read_its_stdin_is_no_error() -> None:
    assert (await run_process(["true"], stdin=b"x" * (1 << 20))).exit_code == 0


async def test_a_signal_is_128_and_its_number() -> None:
    ended = await run_process(["sh", "-c", "kill -TERM $$"])
    assert ended.exit_code == 128 + signal.SIGTERM


async def test_a_time_out_kills_the_child_and_its_group() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await run_process(["sh", "-c", "sleep 600 & wait"], timeout_s=0.2)
    assert time.monotonic() - began < 5


async def test_a_descendant_that_keeps_the_pipe_is_not_waited_for() -> None:
    with anyio.fail_after(5):
        ended = await run_process(["sh", "-c", "sleep 30 & echo $!"])
    os.kill(int(ended.stdout), signal.SIGKILL)
    assert ended.exit_code == 0


async def test_output_is_handed_on_piece_by_piece() -> None:
    seen: list[tuple[int, bytes]] = []
    ended = await run_process(["sh", "-c", "echo a"], output=lambda s, data: seen.append((s, data)))
    assert (seen, ended.stdout) == ([(1, b"a\n")], b"")


async def test_a_missing_program_is_an_os_error() -> None:
    with pytest.raises(FileNotFoundError):
        await run_process(["/no/such/program"])


async def test_cancellation_reaps_the_child() -> None:
    with anyio.move_on_after(0.2) as scope:
        await run_process(["sleep", "600"])
    assert scope.cancelled_caught
