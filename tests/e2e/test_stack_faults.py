"""What is around the engine fails: a full disk, a runtime that refuses. It is told, and mended."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine import EngineUnderTest
from tests.support.invariants import broken
from tests.support.isolation import Isolation

pytestmark = pytest.mark.usefixtures("hub")

STACK = """
services:
  web:
    image: busybox
    command: sleep 1000
    stop_signal: SIGKILL
    volumes: [kept:/kept]
    ports: ["18141:80"]
volumes: {kept: {}}
"""


@pytest.fixture
def small_disk(place: EngineUnderTest) -> Iterator[Path]:
    """The engine's data on a disk of 12 MB."""
    data = place.directory / "data"
    data.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", data]
    subprocess.run(command, check=True)
    try:
        yield data
    finally:
        place.stop()
        subprocess.run(["umount", data], check=True)


def fill(path: Path) -> None:
    with path.open("wb") as file:
        try:
            while True:
                file.write(b"\0" * 65536)
                file.flush()
        except OSError:
            pass


def test_a_full_disk_is_told_and_what_was_begun_is_finished_when_there_is_room(
    place: EngineUnderTest, small_disk: Path, project: Path, isolation: Isolation
) -> None:
    (project / "stack.yml").write_text(STACK)
    place.start()
    place.cli("pull", "-q", "busybox")
    fill(small_disk / "ballast")
    refused = place.run("up", "-d", cwd=project)
    assert refused.exit_code == 1, refused.output
    assert "full" in refused.stderr or "No space" in refused.stderr, refused.stderr
    assert "Traceback" not in refused.output
    assert place.answers(), "the engine goes on"
    (small_disk / "ballast").unlink()
    place.cli("up", "-d", cwd=project)
    assert [c["State"] for c in place.containers()] == ["running"]
    assert broken(place, isolation) == []
    place.cli("down", "-t", "0", "-v", cwd=project)


RUNTIME = """#!/bin/sh
case " $* " in
  *" create "*) if [ -e {flag} ]; then echo "the runtime is out of order" >&2; exit 1; fi ;;
esac
exec {real} "$@"
"""


def test_a_runtime_that_refuses_is_told_in_its_words_and_leaves_nothing(
    place: EngineUnderTest, project: Path, isolation: Isolation
) -> None:
    flag = place.directory / "out-of-order"
    wrapper = place.directory / "crun"
    real = next(p for p in ("/usr/bin/crun", "/usr/sbin/runc", "/usr/bin/runc") if os.access(p, 1))
    wrapper.write_text(RUNTIME.format(flag=flag, real=real))
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    (project / "stack.yml").write_text(STACK)
    place.start({"PYSTACK_RUNTIME": str(wrapper)})
    flag.touch()
    refused = place.run("up", "-d", cwd=project)
    assert refused.exit_code == 1, refused.output
    assert "the runtime is out of order" in refused.stderr
    assert broken(place, isolation) == []
    flag.unlink()
    place.cli("up", "-d", cwd=project)
    assert [c["State"] for c in place.containers()] == ["running"]
    place.cli("down", "-t", "0", "-v", cwd=project)
