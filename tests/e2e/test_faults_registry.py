"""A registry that does not answer, or stops amid a layer: told in time, tried again, given up."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import remains
from tests.support.engine import EngineUnderTest
from tests.support.faulty import begun, set_first
from tests.support.invariants import broken
from tests.support.isolation import Isolation
from tests.support.registry import Registry
from tests.support.stuck import Way, way_to
from tests.support.waiting import wait_until

STACK = """
services:
  web:
    image: {image}
    command: sleep 1000
    stop_signal: SIGKILL
"""
# More than a manifest and a configuration have, less than a layer.
AMID_A_LAYER = 100_000


@pytest.fixture
def way(place: EngineUnderTest, project: Path, hub: Registry) -> Iterator[Way]:
    """The way from an engine to the registry of the stack's image."""
    with way_to(hub.host) as found:
        set_first(place, registry_timeout_s=1)
        with (place.directory / "settings.toml").open("a") as file:
            file.write(f'[registries."{found.host}"]\ninsecure = true\n')
        (project / "stack.yml").write_text(STACK.format(image=image_at(found)))
        place.start()
        yield found
        place.stop()


def image_at(way: Way) -> str:
    return f"{way.host}/library/busybox:latest"


def is_up(place: EngineUnderTest) -> bool:
    return [c["State"] for c in place.containers()] == ["running"]


def scratch(place: EngineUnderTest) -> list[Path]:
    return list((place.directory / "data/content/tmp").iterdir())


@pytest.mark.parametrize("after", [0, AMID_A_LAYER])
def test_a_registry_that_hangs_is_told_and_the_stack_comes_up_when_it_answers(
    place: EngineUnderTest, way: Way, project: Path, isolation: Isolation, after: int
) -> None:
    way.block(after)
    refused = place.run("up", "-d", cwd=project)
    assert refused.exit_code == 1, refused.output
    assert f"{way.host} did not answer within 1 s" in refused.stderr
    assert "tried again by itself" in refused.stderr
    assert "Traceback" not in refused.output
    assert scratch(place) == []
    way.open()
    wait_until(lambda: is_up(place), "the stack is up, without anybody asking again")
    assert broken(place, isolation) == []
    place.cli("down", "-t", "0", "-v", cwd=project)


def test_others_go_on_while_a_registry_hangs_and_a_down_ends_it(
    place: EngineUnderTest, way: Way, project: Path, isolation: Isolation
) -> None:
    place.stop()
    settings = place.directory / "settings.toml"
    settings.write_text(settings.read_text().replace("timeout_s = 1", "timeout_s = 600"))
    place.start()
    way.block(AMID_A_LAYER)
    with begun(place, "up", "-d", cwd=project):
        wait_until(lambda: way.waiting, "it is being pulled")
        began = time.monotonic()
        place.cli("ps")
        place.cli("network", "create", "beside")
        place.cli("network", "rm", "beside")
        assert time.monotonic() - began < 5, "nobody waits for it"
        place.cli("down", "-t", "0", "-v", cwd=project)
    wait_until(lambda: not way.waiting, "nobody waits for the registry any more")
    assert scratch(place) == []
    assert remains.of(place, isolation) == []


def test_a_pull_that_hangs_ends_with_its_command(place: EngineUnderTest, way: Way) -> None:
    place.stop()
    settings = place.directory / "settings.toml"
    settings.write_text(settings.read_text().replace("timeout_s = 1", "timeout_s = 600"))
    place.start()
    way.block(AMID_A_LAYER)
    with subprocess.Popen(
        place.argv("pull", image_at(way)),
        env=place.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as command:
        wait_until(lambda: way.waiting, "it is being pulled")
        command.send_signal(signal.SIGINT)
        assert command.wait(timeout=10) == 130
    wait_until(lambda: not way.waiting, "the engine has left the registry")
    wait_until(lambda: not scratch(place), "nothing is left of it")
    way.open()
    place.cli("pull", "-q", image_at(way))


def test_an_engine_killed_while_a_registry_hangs_leaves_the_next_one_to_go_on(
    place: EngineUnderTest, way: Way, project: Path, isolation: Isolation
) -> None:
    way.block(AMID_A_LAYER)
    with begun(place, "up", "-d", cwd=project):
        wait_until(lambda: scratch(place), "a layer has begun to come")
        place.kill9()
    way.open()
    place.start()
    wait_until(lambda: is_up(place), "the stack is up")
    assert scratch(place) == []
    assert broken(place, isolation) == []
    place.cli("down", "-t", "0", "-v", cwd=project)
    assert remains.of(place, isolation) == []
