"""Commands of every kind, the engine killed with SIGKILL at any moment of each."""

from __future__ import annotations

import os
import random
import subprocess
import time

from tests.support import invariants, remains
from tests.support.engine import EngineUnderTest
from tests.support.isolation import Isolation

LASTS_S = 20.0
# A command takes about that long from its start to its answer; the kill falls somewhere in it.
LATEST_S = 0.9
NAMES = ("ash", "birch", "cedar")
OPTIONS = (
    [],
    ["-v", "birch:/data"],
    ["-v", "/anonymous"],
    ["--network", "net-ash"],
    ["--network", "net-birch", "-v", "cedar:/data"],
    ["-p", "18081:80"],
    ["--restart", "always"],
)
SLEEPING = ("busybox", "sleep", "1000")
ENDING = ("busybox", "sh", "-c", "sleep 0.2; exit 3")


def command(chance: random.Random, there: list[str]) -> list[str]:
    """Any command that changes something; mostly one that makes sense with what is there."""
    options = chance.choice(OPTIONS)
    free = [name for name in NAMES if name not in there] or list(NAMES)
    made = [
        ["run", "-d", "--name", chance.choice(free), *options, *SLEEPING],
        ["run", "-d", "--name", chance.choice(free), *options, *ENDING],
        ["run", "--rm", *options, *ENDING],
        ["run", "-d", "--rm", *options, *SLEEPING],
        ["create", "--name", chance.choice(free), *options, *SLEEPING],
    ]
    if not there or chance.random() < 0.3:
        return chance.choice(made)
    name, any_name = chance.choice(there), chance.choice(NAMES)
    return chance.choice(
        [
            ["start", name],
            ["stop", "-t", "0", name],
            ["restart", "-t", "0", name],
            ["kill", name],
            ["pause", name],
            ["unpause", name],
            ["rename", name, any_name],
            ["exec", name, "sh", "-c", "sleep 0.1; exit 4"],
            ["exec", "-d", name, "sleep", "0.3"],
            # Always with -v: without, an anonymous volume stays, and that is no leak.
            ["rm", "-f", "-v", name],
            ["rm", "-v", name],
            ["volume", "create", any_name],
            ["volume", "rm", any_name],
            ["network", "create", f"net-{any_name}"],
            ["network", "rm", f"net-{any_name}"],
            ["network", "connect", f"net-{any_name}", name],
            ["network", "disconnect", f"net-{any_name}", name],
        ]
    )


def test_whatever_is_interrupted_what_is_left_is_whole(
    engine: EngineUnderTest, isolation: Isolation
) -> None:
    seed = int(os.environ.get("PYSTACK_TEST_SEED") or time.time())
    print(f"PYSTACK_TEST_SEED={seed}")
    chance = random.Random(seed)
    engine.cli("pull", "-q", "busybox")
    for name in NAMES:
        engine.cli("network", "create", f"net-{name}")
    end = time.monotonic() + LASTS_S
    while time.monotonic() < end:
        there = [c["Names"][0].lstrip("/") for c in engine.containers()]
        several = [command(chance, there) for _ in range(chance.choice((1, 1, 2, 3)))]
        interrupt(engine, several, chance.uniform(0.1, LATEST_S))
        engine.cli("ps")
        assert invariants.broken(engine, isolation) == []
    remove_everything(engine)
    assert remains.of(engine, isolation) == []
    assert (engine.request("GET", "/volumes")[1]["Volumes"] or []) == []


def interrupt(engine: EngineUnderTest, several: list[list[str]], at_s: float) -> None:
    """Kills the engine `at_s` into some commands, which may fail, but with words for a person."""
    print(f"killed after {at_s:.3f} s of {' | '.join(' '.join(words) for words in several)}")
    running = [
        subprocess.Popen(
            engine.argv(*words),
            env=engine.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for words in several
    ]
    time.sleep(at_s)  # the moment itself is what is tested
    engine.kill9()
    for process in running:
        output, _ = process.communicate(timeout=30)
        assert "Traceback" not in output, output
        assert "bug in pystack" not in output, output


def remove_everything(engine: EngineUnderTest) -> None:
    containers = [c["Id"] for c in engine.containers()]
    if containers:
        engine.cli("rm", "-f", "-v", *containers)
    volumes = [v["Name"] for v in engine.request("GET", "/volumes")[1]["Volumes"] or []]
    if volumes:
        engine.cli("volume", "rm", *volumes)
    networks = [n["Name"] for n in engine.request("GET", "/networks")[1]]
    own = [name for name in networks if name not in ("bridge", "host", "none")]
    if own:
        engine.cli("network", "rm", *own)
