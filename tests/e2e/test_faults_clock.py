"""The clock is set hours forward or back: how long things last, and what comes first, stays."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import remains
from tests.support.engine import EngineUnderTest
from tests.support.invariants import broken
from tests.support.isolation import Isolation
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("hub")

HOURS = 3 * 3600
STACK = """
services:
  web:
    image: busybox
    command: sleep 1000
    stop_signal: SIGKILL
    environment: {{COLOUR: {colour}}}
    healthcheck: {{test: "true", interval: 0.2s, start_period: 20s, start_interval: 0.2s}}
    deploy:
      update_config: {{order: start-first, monitor: 1s}}
  once:
    image: busybox
    command: "true"
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """An engine, its clock and its stack."""

    place: EngineUnderTest
    clock: Path
    project: Path

    def start(self) -> None:
        self.place.start({"PYSTACK_TEST_CLOCK": str(self.clock)}, module="tests.support.jumping")

    def set_clock(self, seconds: int) -> None:
        self.clock.write_text(str(seconds))

    def up(self, *more: str, colour: str = "red") -> None:
        (self.project / "stack.yml").write_text(STACK.format(colour=colour))
        self.place.cli("up", "-d", "--wait", *more, cwd=self.project)

    def state(self, service: str = "web") -> dict[str, Any]:
        return dict(self.place.inspect(f"demo-{service}-1")["State"])

    def id(self, service: str = "web") -> str:
        return str(self.place.inspect(f"demo-{service}-1")["Id"])

    def probes(self) -> list[str]:
        return [p["Start"] for p in self.state()["Health"]["Log"]]

    def status(self) -> str:
        return self.place.cli("ps", "--format", "{{.Status}}", "--filter", "name=web").stdout


@pytest.fixture
def scene(place: EngineUnderTest, project: Path) -> Scene:
    made = Scene(place, place.directory / "clock-offset", project)
    made.start()
    return made


def does_as_told(scene: Scene) -> None:
    """What is asked for now is done, though what is there may seem older, or newer, than it is."""
    place, project = scene.place, scene.project
    pid, ended = scene.state()["Pid"], scene.state("once")["FinishedAt"]
    scene.up()
    assert scene.state()["Pid"] == pid, "nothing was to be done"
    wait_until(lambda: scene.state("once")["FinishedAt"] != ended, "what had ended runs again")

    place.cli("restart", "-t", "0", "web", cwd=project)
    assert scene.state()["Pid"] != pid, "it was started anew"
    first = scene.id()
    scene.up("--force-recreate")
    assert scene.id() != first, "it was made anew"
    began = time.monotonic()
    second = scene.id()
    scene.up(colour="blue")
    assert scene.id() != second, "it was replaced"
    assert 1 <= time.monotonic() - began < 10, "watched for a second, neither less nor for hours"
    kinds = place.cli("why", "web", cwd=project).stdout
    assert "replace" in kinds or "create" in kinds


@pytest.mark.parametrize("jump", [HOURS, -HOURS], ids=["forward", "back"])
def test_a_clock_that_is_set_while_the_engine_runs_changes_nothing(
    scene: Scene, isolation: Isolation, jump: int
) -> None:
    place, project = scene.place, scene.project
    scene.up()
    loop = place.cli("run", "-d", "--restart", "always", "busybox", "false").stdout.strip()
    wait_until(lambda: place.inspect(loop)["RestartCount"] >= 3, "it goes round")
    count, pid, probes = place.inspect(loop)["RestartCount"], scene.state()["Pid"], scene.probes()

    scene.set_clock(jump)
    assert "Up " in scene.status()
    assert "second" in scene.status() or "Less" in scene.status()
    wait_until(lambda: not set(probes) & set(scene.probes()), "probes go on", within_s=5)
    assert scene.state()["Health"]["Status"] == "healthy"
    wait_until(lambda: place.inspect(loop)["RestartCount"] > count, "it goes on round", within_s=8)
    place.cli("rm", "-f", loop)
    assert scene.state()["Pid"] == pid, "it was left alone"
    does_as_told(scene)
    place.cli("down", "-t", "0", "-v", cwd=project)
    assert remains.of(place, isolation) == []


@pytest.mark.parametrize("jump", [HOURS, -HOURS], ids=["forward", "back"])
def test_a_clock_that_is_set_between_two_engines_changes_nothing(
    scene: Scene, isolation: Isolation, jump: int
) -> None:
    place, project = scene.place, scene.project
    scene.up()
    pid = scene.state()["Pid"]
    place.kill9()
    scene.set_clock(jump)
    scene.start()
    assert scene.state()["Pid"] == pid, "it was left alone"
    assert "second" in scene.status() or "Less" in scene.status()
    wait_until(lambda: scene.state()["Health"]["Status"] == "healthy", "it is known to be well")
    does_as_told(scene)
    assert broken(place, isolation) == []
    place.cli("down", "-t", "0", "-v", cwd=project)
    assert remains.of(place, isolation) == []


@pytest.mark.parametrize("jump", [HOURS, -HOURS], ids=["forward", "back"])
def test_events_come_in_their_order_whatever_the_clock_says(scene: Scene, jump: int) -> None:
    place = scene.place
    place.cli("network", "create", "first")
    scene.set_clock(jump)
    place.cli("network", "create", "second")
    since = str(int(time.time()) - 60 + min(jump, 0))
    place.cli("network", "create", "third")
    with subprocess.Popen(
        place.argv("events", "--since", since, "--filter", "event=create"),
        env=place.env,
        stdout=subprocess.PIPE,
        text=True,
    ) as events:
        try:
            assert events.stdout is not None
            told = ""
            while "name=third" not in told:
                told += events.stdout.readline()
        finally:
            events.kill()
    assert told.index("name=first") < told.index("name=second") < told.index("name=third")
    place.cli("network", "rm", "third")
    place.cli("network", "rm", "first", "second")
