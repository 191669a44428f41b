"""A runtime, or a conmon, that never answers is ended in its time and told; nothing stays."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import remains
from tests.support.engine import EngineUnderTest
from tests.support.faulty import FaultyRuntime, begun, faulty_runtime, hanging, set_first
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
    ports: ["18151:80"]
volumes: {kept: {}}
"""


@pytest.fixture
def runtime(place: EngineUnderTest, project: Path) -> Iterator[FaultyRuntime]:
    """An engine with a runtime that can be made to hang, and a stack for it."""
    (project / "stack.yml").write_text(STACK)
    set_first(place, runtime_start_timeout_s=1, runtime_timeout_s=1)
    found = faulty_runtime(place)
    place.start(found.env)
    place.cli("pull", "-q", "busybox")
    yield found
    found.mend()


def run_beside(place: EngineUnderTest) -> str:
    """The id of a container that has nothing to do with it."""
    return place.cli("run", "-d", "busybox", "sleep", "1000").stdout.strip()


def started_at(place: EngineUnderTest, container: str) -> str:
    return str(place.inspect(container)["State"]["StartedAt"])


def is_up(place: EngineUnderTest) -> bool:
    return [c["State"] for c in place.containers(com_docker_compose_project="demo")] == ["running"]


@pytest.mark.parametrize("step", ["create", "start", "conmon"])
def test_a_start_that_hangs_is_told_undone_and_tried_again(
    place: EngineUnderTest, runtime: FaultyRuntime, project: Path, isolation: Isolation, step: str
) -> None:
    runtime.hang(step)
    refused = place.run("up", "-d", cwd=project)
    assert refused.exit_code == 1, refused.output
    word = "create" if step == "conmon" else step
    assert f"crun {word} did not answer within 1 s and was ended" in refused.stderr
    assert "runtime_start_timeout_s" in refused.stderr
    assert "tried again by itself" in refused.stderr
    assert "Traceback" not in refused.output
    runtime.mend()
    wait_until(lambda: is_up(place), "the stack is up, without anybody asking again")
    assert broken(place, isolation) == []
    place.cli("down", "-t", "0", "-v", cwd=project)
    assert remains.of(place, isolation) == []


def test_others_go_on_while_a_start_hangs_and_a_down_ends_it(
    place: EngineUnderTest, runtime: FaultyRuntime, project: Path, isolation: Isolation
) -> None:
    place.stop()
    file = place.directory / "settings.toml"
    file.write_text(file.read_text().replace("start_timeout_s = 1", "start_timeout_s = 600"))
    place.start(runtime.env)
    beside = run_beside(place)
    runtime.hang("create")
    with begun(place, "up", "-d", cwd=project):
        wait_until(lambda: hanging(isolation), "the runtime hangs")
        began = time.monotonic()
        assert "Up" in place.cli("ps").stdout
        assert place.cli("exec", beside, "echo", "here").stdout == "here\n"
        assert time.monotonic() - began < 3, "nobody waits for the one that hangs"
        place.cli("down", "-t", "0", "-v", cwd=project)
    assert not hanging(isolation)
    place.cli("rm", "-f", beside)
    assert remains.of(place, isolation) == []


def test_a_container_is_taken_down_without_a_runtime_that_hangs_or_fails(
    place: EngineUnderTest, runtime: FaultyRuntime, project: Path, isolation: Isolation
) -> None:
    place.cli("up", "-d", cwd=project)
    other = run_beside(place)
    runtime.hang("delete", "kill", "state")
    place.cli("down", "-t", "0", "-v", cwd=project)
    runtime.mend()
    runtime.fail("delete", "kill", "state")
    place.cli("rm", "-f", other)
    assert remains.of(place, isolation) == []


def test_an_exec_that_hangs_is_told_and_leaves_nothing(
    place: EngineUnderTest, runtime: FaultyRuntime, project: Path, isolation: Isolation
) -> None:
    place.cli("up", "-d", cwd=project)
    began = started_at(place, "demo-web-1")
    runtime.hang("exec")
    refused = place.run("exec", "demo-web-1", "true")
    assert refused.exit_code != 0
    assert "crun exec did not answer within 1 s" in refused.output
    detached = place.run("exec", "-d", "demo-web-1", "true")
    assert "crun exec did not answer within 1 s" in detached.output
    assert not hanging(isolation)
    runtime.mend()
    assert place.cli("exec", "demo-web-1", "echo", "here").stdout == "here\n"
    assert started_at(place, "demo-web-1") == began
    assert broken(place, isolation) == []
    place.cli("down", "-t", "0", "-v", cwd=project)


def test_a_container_that_was_healthy_is_left_alone_while_its_probes_hang(
    place: EngineUnderTest, runtime: FaultyRuntime, isolation: Isolation
) -> None:
    check = ("--health-cmd", "true", "--health-interval", "0.1s", "--health-timeout", "0.3s")
    image = ("--health-retries", "1", "busybox", "sleep", "1000")
    made = place.cli("run", "-d", "--restart", "always", *check, *image).stdout.strip()

    def health() -> dict[str, object]:
        return dict(place.inspect(made)["State"]["Health"])

    wait_until(lambda: health()["Status"] == "healthy", "it is healthy")
    runtime.hang("exec")
    wait_until(lambda: "did not answer" in str(health()["Log"]), "a probe is given up")
    assert health()["Status"] == "healthy"
    runtime.mend()
    wait_until(lambda: "did not answer" not in str(health()["Log"]), "probes are answered again")
    assert place.inspect(made)["RestartCount"] == 0
    place.cli("rm", "-f", made)
    assert remains.of(place, isolation) == []


@pytest.mark.parametrize("step", ["create", "start", "conmon", "exec", "delete"])
def test_an_engine_killed_while_the_runtime_hangs_leaves_the_next_one_to_mend_it(
    place: EngineUnderTest, runtime: FaultyRuntime, project: Path, isolation: Isolation, step: str
) -> None:
    beside = run_beside(place)
    began = started_at(place, beside)
    if step in ("exec", "delete"):
        place.cli("up", "-d", cwd=project)
    runtime.hang(step)
    words = {"exec": ("exec", "demo-web-1", "true"), "delete": ("rm", "-f", "demo-web-1")}
    with begun(place, *words.get(step, ("up", "-d")), cwd=project):
        wait_until(lambda: hanging(isolation), "the runtime hangs")
        place.kill9()
    runtime.mend()
    place.start()
    wait_until(lambda: is_up(place), "the stack is up")
    assert broken(place, isolation) == []
    assert not hanging(isolation)
    assert started_at(place, beside) == began
    place.cli("rm", "-f", beside)
    place.cli("down", "-t", "0", "-v", cwd=project)
    assert remains.of(place, isolation) == []


def test_an_engine_starts_and_cleans_up_though_its_runtime_hangs(
    place: EngineUnderTest, runtime: FaultyRuntime, project: Path, isolation: Isolation
) -> None:
    beside = run_beside(place)
    began = started_at(place, beside)
    (project / "stack.yml").write_text(STACK.replace("web:", "web:\n    restart: always"))
    place.cli("up", "-d", cwd=project)
    pid = int(place.inspect("demo-web-1")["State"]["Pid"])
    place.kill9()
    runtime.hang("create", "delete", "state", "kill")
    os.kill(pid, signal.SIGKILL)
    place.start(runtime.env)
    assert "it hangs" in place.cli("info").stdout
    assert started_at(place, beside) == began
    runtime.mend()
    wait_until(lambda: is_up(place), "the stack is up")
    assert broken(place, isolation) == []
    place.cli("down", "-t", "0", "-v", cwd=project)
    place.cli("rm", "-f", beside)
    assert remains.of(place, isolation) == []
