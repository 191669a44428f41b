"""When and how a log is rotated."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest
from asyncinotify import Inotify, Mask

from orchestrator.errors import InvalidInput
from orchestrator.supervisor.rotation import Rotation, keep_rotated, rotate, rotation_of


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, Rotation(max_bytes=99, files=2)),
        ({"max-size": "10m", "max-file": "3"}, Rotation(max_bytes=10 << 20, files=3)),
        ({"max-size": "1.5k"}, Rotation(max_bytes=1536, files=2)),
        ({"max-size": "2GB"}, Rotation(max_bytes=2 << 30, files=2)),
        ({"max-size": "100"}, Rotation(max_bytes=100, files=2)),
        ({"max-size": "-1"}, Rotation(max_bytes=0, files=2)),
    ],
)
def test_log_options_say_when(options: dict[str, str], expected: Rotation) -> None:
    assert rotation_of(options, 99) == expected


@pytest.mark.parametrize("options", [{"max-size": "big"}, {"max-file": "0"}, {"max-file": "x"}])
def test_malformed_options_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        rotation_of(options, 99)


def test_rotating_renames_and_drops_the_oldest(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for generation in range(4):
        log.write_text(str(generation))
        rotate(log, tmp_path / "ctl", Rotation(max_bytes=1, files=3))
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"log.1": "3", "log.2": "2"}


def test_one_file_alone_is_dropped_when_it_is_full(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("full")
    rotate(log, tmp_path / "ctl", Rotation(max_bytes=1, files=1))
    assert list(tmp_path.iterdir()) == []


def test_a_small_log_stays(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("small")
    assert not rotate(log, tmp_path / "ctl", Rotation(max_bytes=100))
    assert log.read_text() == "small"


def test_the_writer_is_told_even_when_the_last_engine_died_before_telling(tmp_path: Path) -> None:
    control = tmp_path / "ctl"
    os.mkfifo(control)
    reader = os.open(control, os.O_RDONLY | os.O_NONBLOCK)
    try:
        rotate(tmp_path / "log", control, Rotation(max_bytes=1))
        assert os.read(reader, 100) == b"2 0 0\n"
    finally:
        os.close(reader)


async def test_a_log_is_rotated_when_it_has_grown(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keep_rotated, log, tmp_path / "ctl", Rotation(max_bytes=10))
        await anyio.wait_all_tasks_blocked()
        log.write_text("more than ten bytes")
        with anyio.fail_after(10), Inotify() as inotify:
            inotify.add_watch(tmp_path, Mask.MOVED_TO)
            if not (tmp_path / "log.1").exists():
                await inotify.get()
        tasks.cancel_scope.cancel()
