"""Reading log files: the end without the beginning, what follows, over rotation."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.supervisor.logline import LogLine
from orchestrator.supervisor.logs import follow, read_tail


def record(number: int, text: str = "", stream: str = "stdout", tag: str = "F") -> bytes:
    second, fraction = divmod(number, 1000)
    minute, second = divmod(second, 60)
    stamp = f"2026-01-01T{minute // 60:02}:{minute % 60:02}:{second:02}.{fraction:03}000000+00:00"
    return f"{stamp} {stream} {tag} {text or number}\n".encode()


def texts(lines: list[LogLine]) -> list[str]:
    return [line.text.decode() for line in lines]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "container.log"


def test_no_log_has_no_lines(log: Path) -> None:
    assert list(read_tail(log)) == []
    assert list(read_tail(log, 5)) == []


def test_the_tail_is_the_last_lines_in_their_order(log: Path) -> None:
    log.write_bytes(b"".join(record(n) for n in range(5000)))
    assert texts(list(read_tail(log, 3))) == ["4997", "4998", "4999"]
    assert texts(list(read_tail(log, 0))) == []
    assert len(list(read_tail(log))) == 5000
    assert len(list(read_tail(log, 9999))) == 5000


def test_the_tail_goes_back_into_rotated_files(log: Path) -> None:
    log.with_name("container.log.2").write_bytes(record(1) + record(2))
    log.with_name("container.log.1").write_bytes(record(3))
    log.write_bytes(record(4) + record(5))
    assert texts(list(read_tail(log, 4))) == ["2", "3", "4", "5"]
    assert texts(list(read_tail(log))) == ["1", "2", "3", "4", "5"]


def test_pieces_of_one_line_count_as_one_line(log: Path) -> None:
    log.write_bytes(
        record(1, "before")
        + record(2, "a", tag="P")
        + record(3, "x", "stderr")
        + record(4, "b", tag="P")
        + record(5, "c")
        + record(6, "last")
        + record(7, "prompt> ", tag="P")
    )
    assert texts(list(read_tail(log, 3))) == ["abc", "last", "prompt> "]
    assert texts(list(read_tail(log, 4))) == ["x", "abc", "last", "prompt> "]
    assert next(read_tail(log, 1)).partial


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.booleans()), max_size=25),
    wanted=st.integers(0, 12),
)
def test_a_tail_is_the_end_of_all_lines(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, bool]], wanted: int
) -> None:
    # Streams that end in whole lines: where several are unfinished, their order is not defined.
    records = [*records, ("stdout", True), ("stderr", True)]
    log = tmp_path_factory.mktemp("log") / "l"
    log.write_bytes(
        b"".join(record(n, f"{n},", s, "F" if f else "P") for n, (s, f) in enumerate(records))
    )
    everything = list(read_tail(log))
    assert list(read_tail(log, wanted)) == everything[len(everything) - wanted :][:wanted] or (
        wanted >= len(everything) and list(read_tail(log, wanted)) == everything
    )


def test_since_and_until_bound_the_lines(log: Path) -> None:
    log.write_bytes(b"".join(record(n * 1000) for n in range(3600)))
    first = next(read_tail(log)).time
    lines = list(read_tail(log, since=first + 3000, until=first + 3002))
    assert texts(lines) == ["3000000", "3001000", "3002000"]
    assert texts(list(read_tail(log, 2, since=first + 3595))) == ["3598000", "3599000"]
    assert len(list(read_tail(log, 100, since=first + 3595))) == 5


def test_the_tail_of_a_gigabyte_is_immediate(log: Path) -> None:
    with log.open("wb") as file:
        file.seek(1 << 30)
        file.write(b"\n" + b"".join(record(n) for n in range(10)))
    began = time.perf_counter()
    assert texts(list(read_tail(log, 10))) == [str(n) for n in range(10)]
    assert time.perf_counter() - began < 0.1
    os.truncate(log, 0)


class Follower:
    """Collects what `follow` tells, so that a test can wait for it."""

    def __init__(self, lines: AsyncGenerator[LogLine]) -> None:
        self._lines = lines
        self.seen: list[str] = []
        self.ended = anyio.Event()
        self._changed = anyio.Event()

    async def run(self) -> None:
        async with aclosing(self._lines) as lines:
            async for line in lines:
                self.seen.append(line.text.decode())
                self._changed.set()
        self.ended.set()

    async def has(self, count: int) -> list[str]:
        with anyio.fail_after(5):
            while len(self.seen) < count:
                self._changed = anyio.Event()
                await self._changed.wait()
        return self.seen


async def test_following_tells_old_lines_then_new_ones_then_stops(log: Path) -> None:
    log.write_bytes(record(1) + record(2))
    stop = anyio.Event()
    follower = Follower(follow(log, lines=1, stop=stop))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follower.run)
        assert await follower.has(1) == ["2"]
        with log.open("ab") as file:
            file.write(record(3) + record(4, "half", tag="P"))
            file.flush()
            assert await follower.has(2) == ["2", "3"]
            file.write(record(5, "whole"))
            file.flush()
            assert await follower.has(3) == ["2", "3", "halfwhole"]
            file.write(record(6, "unended", tag="P"))
        stop.set()
        assert await follower.has(4) == ["2", "3", "halfwhole", "unended"]
        with anyio.fail_after(5):
            await follower.ended.wait()


async def test_following_goes_on_over_rotation_and_recreation(log: Path) -> None:
    log.write_bytes(record(1))
    stop = anyio.Event()
    follower = Follower(follow(log, stop=stop))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follower.run)
        await follower.has(1)
        with log.open("ab") as held:
            log.rename(log.with_name("container.log.1"))
            held.write(record(2))
            held.flush()
            assert await follower.has(2) == ["1", "2"]
            held.write(record(3))
        log.write_bytes(record(4))
        assert await follower.has(4) == ["1", "2", "3", "4"]
        log.unlink()
        log.write_bytes(record(5))
        assert await follower.has(5) == ["1", "2", "3", "4", "5"]
        stop.set()


async def test_a_follower_that_was_slow_misses_no_rotated_file(log: Path) -> None:
    log.write_bytes(record(1))
    stop = anyio.Event()
    async with aclosing(follow(log, stop=stop)) as lines:
        assert (await anext(lines)).text == b"1"
        for number in (2, 3, 4):
            for older in (2, 1):
                if (file := log.with_name(f"container.log.{older}")).exists():
                    file.rename(log.with_name(f"container.log.{older + 1}"))
            log.rename(log.with_name("container.log.1"))
            log.write_bytes(record(number))
        stop.set()
        assert [line.text async for line in lines] == [b"2", b"3", b"4"]


async def test_following_waits_for_a_log_that_is_not_there_yet(log: Path) -> None:
    stop = anyio.Event()
    follower = Follower(follow(log, lines=10, stop=stop))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follower.run)
        await anyio.wait_all_tasks_blocked()
        log.write_bytes(record(1))
        assert await follower.has(1) == ["1"]
        stop.set()
