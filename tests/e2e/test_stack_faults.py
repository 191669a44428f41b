"""What is around the engine fails: a full disk, a runtime that refuses. It is told, and mended."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.engine import EngineUnderTest
from tests.support.invariants import broken
from tests.support.isolation import Isolation
from tests.support.waiting import wait_until

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
    """Nothing; no byte is free where the path is."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while os.write(descriptor, b"\0" * size):
                    pass
    finally:
        os.close(descriptor)


def is_full(text: str) -> bool:
    return "full" in text or "No space" in text


def test_a_full_disk_is_told_and_what_was_begun_is_finished_when_there_is_room(
    place: EngineUnderTest, small_disk: Path, project: Path, isolation: Isolation
) -> None:
    (project / "stack.yml").write_text(STACK)
    place.start()
    place.cli("pull", "-q", "busybox")
    fill(small_disk / "ballast")
    refused = place.run("up", "-d", cwd=project)
    assert refused.exit_code == 1, refused.output
    assert is_full(refused.stderr), refused.stderr
    assert "Traceback" not in refused.output
    assert place.answers(), "the engine goes on"
    (small_disk / "ballast").unlink()
    place.cli("up", "-d", cwd=project)
    assert [c["State"] for c in place.containers()] == ["running"]
    assert broken(place, isolation) == []
    place.cli("down", "-t", "0", "-v", cwd=project)


def test_a_disk_that_is_full_amid_an_update_and_a_down_spoils_nothing(
    place: EngineUnderTest, small_disk: Path, project: Path, isolation: Isolation
) -> None:
    ballast = small_disk / "ballast"
    (project / "stack.yml").write_text(STACK)
    place.start()
    place.cli("up", "-d", cwd=project)
    began = place.inspect("demo-web-1")["State"]["StartedAt"]

    fill(ballast)
    (project / "stack.yml").write_text(STACK.replace("sleep 1000", "sleep 1001"))
    refused = place.run("up", "-d", cwd=project)
    assert refused.exit_code == 1, refused.output
    assert is_full(refused.stderr), refused.stderr
    assert "Running" in place.cli("ps", "--format", "{{.State}}", cwd=project).stdout.title()
    if len(place.containers()) == 1:
        assert place.inspect("demo-web-1")["State"]["StartedAt"] == began, "it is left alone"
    # One that is killed here reads its records again.
    place.kill9()
    ballast.unlink()
    place.start()
    place.cli("up", "-d", cwd=project)
    wait_until(lambda: is_updated(place), "the update is made")
    assert broken(place, isolation) == []

    fill(ballast)
    gone = place.run("down", "-t", "0", "-v", cwd=project)
    assert gone.exit_code == 0 or is_full(gone.stderr), gone.output
    assert place.answers()
    ballast.unlink()
    place.cli("down", "-t", "0", "-v", cwd=project)
    assert place.containers() == []
    assert broken(place, isolation) == []


def test_a_container_that_ends_on_a_full_disk_is_known_to_have_ended_when_there_is_room(
    place: EngineUnderTest, small_disk: Path, isolation: Isolation
) -> None:
    ballast = small_disk / "ballast"
    place.start()
    script = "trap 'exit 7' TERM; while :; do sleep 0.1; done"
    identifier = place.cli("run", "-d", "busybox", "sh", "-c", script).stdout.strip()
    wait_until(lambda: place.run("exec", identifier, "true").exit_code == 0, "it runs")
    fill(ballast)
    os.kill(int(place.inspect(identifier)["State"]["Pid"]), signal.SIGTERM)
    assert place.answers()
    ballast.unlink()
    wait_until(lambda: place.inspect(identifier)["State"]["Status"] == "exited", "its end is known")
    assert place.inspect(identifier)["State"]["ExitCode"] == 7
    assert broken(place, isolation) == []
    place.cli("rm", identifier)


def is_updated(place: EngineUnderTest) -> bool:
    found = place.containers()
    return [(c["State"], c["Command"]) for c in found] == [("running", "sleep 1001")]


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
