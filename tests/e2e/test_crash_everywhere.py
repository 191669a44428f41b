"""The engine is killed before each single deed of an `up`, an update and a `down`.

Every fourth point is tried, another quarter each day; PYSTACK_TEST_STRIDE=1 tries every one, in
some minutes. Each time the next engine makes the stack what was wanted, with nothing left over and
no container started again that ran.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.support import remains
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
    ports: ["18131:80"]
    environment: {{COLOUR: {colour}}}
    volumes: [kept:/kept, /anonymous]
    secrets: [word]
secrets: {{word: {{environment: WORD}}}}
volumes: {{kept: {{}}}}
"""
WORD = {"WORD": "open"}
STRIDE = int(os.environ.get("PYSTACK_TEST_STRIDE") or 4)


class Mortals:
    """Engines that die, one after the other, in one place."""

    def __init__(self, place: EngineUnderTest, project: Path) -> None:
        self.place = place
        self.project = project
        self.points = project.parent / "points"

    def run(self, kill_at: int, *words: str) -> None:
        """A command of an engine that dies at that point; it is dead afterwards in any case."""
        self.points.unlink(missing_ok=True)
        env = {"PYSTACK_TEST_KILL_AT": str(kill_at), "PYSTACK_TEST_POINTS": str(self.points)}
        self.place.start(env, module="tests.support.mortal")
        self.place.run(*words, cwd=self.project, env=WORD)
        self.place.kill9()

    def count(self) -> int:
        return len(self.points.read_text().splitlines())

    def reached(self) -> str:
        return self.points.read_text().splitlines()[-1]


@pytest.fixture
def mortals(place: EngineUnderTest, project: Path) -> Mortals:
    place.start()
    place.cli("pull", "-q", "busybox")
    place.stop()
    return Mortals(place, project)


def is_as_wanted(place: EngineUnderTest, colour: str) -> bool:
    containers = place.containers()
    if [c["State"] for c in containers] != ["running"]:
        return False
    env = place.inspect(containers[0]["Id"])["Config"]["Env"]
    return f"COLOUR={colour}" in env


def everywhere(
    mortals: Mortals,
    isolation: Isolation,
    words: tuple[str, ...],
    before: str,
    after: str,
) -> None:
    """Each point of a command is tried; `before` and `after` are the colours of the stack, "" for
    none."""
    place, project = mortals.place, mortals.project
    number = 0
    last = 1
    while number <= last:
        place.start()
        if before:
            (project / "stack.yml").write_text(STACK.format(colour=before))
            place.cli("up", "-d", cwd=project, env=WORD)
        place.stop()
        (project / "stack.yml").write_text(STACK.format(colour=after or before))
        # The first round only counts.
        mortals.run(number, *words)
        if number == 0:
            last = mortals.count()
        point = mortals.reached()
        place.start()
        try:
            if after:
                wait_until(lambda: is_as_wanted(place, after), "the stack is as wanted")
                assert place.inspect("demo-web-1")["RestartCount"] == 0
            else:
                wait_until(lambda: not place.containers(), "the stack is gone")
                wait_until(lambda: not place.run("ls", "-aq").stdout, "its loop has ended")
            assert broken(place, isolation) == []
            place.cli("down", "-t", "0", "-v", cwd=project, env=WORD)
            assert remains.of(place, isolation) == []
        except AssertionError as error:
            raise AssertionError(f"killed at {point} of {last}: {error}") from error
        place.stop()
        # Before the first deed nothing is wanted: the wish itself is not recorded.
        number = number + STRIDE if number else 2 + int(time.time() // 86400) % STRIDE


def test_up_is_finished_by_the_next_engine(mortals: Mortals, isolation: Isolation) -> None:
    everywhere(mortals, isolation, ("up", "-d"), before="", after="red")


def test_an_update_is_finished_by_the_next_engine(mortals: Mortals, isolation: Isolation) -> None:
    everywhere(mortals, isolation, ("up", "-d"), before="red", after="blue")


def test_down_is_finished_by_the_next_engine(mortals: Mortals, isolation: Isolation) -> None:
    everywhere(mortals, isolation, ("down", "-t", "0", "-v"), before="red", after="")
