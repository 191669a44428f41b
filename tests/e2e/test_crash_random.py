"""Commands of every kind, the engine killed with SIGKILL at any moment of each."""

from __future__ import annotations

import os
import random
import subprocess
import time

from tests.support import invariants, remains
from tests.support.engine import EngineUnderTest
from tests.support.isolation import Isolation

LASTS_S = 24.0
# A command takes about that long from its start to its answer; the kill falls somewhere in it.
LATEST_S = 0.6
NAMES = ("ash", "birch", "cedar")


def command(chance: random.Random) -> list[str]:
    """Any command of Docker's that changes something; most make sense at most moments."""
    name, other = chance.sample(NAMES, 2)
    options = chance.choice(
        [
            [],
            ["-v", f"{other}:/data"],
            ["-v", "/anonymous"],
            ["--network", f"net-{other}"],
            ["-p", "18081:80"],
            ["--restart", "always"],
        ]
    )
    sleeping = ["busybox", "sleep", "1000"]
    return chance.choice(
        [
            ["run", "-d", "--name", name, *options, *sleeping],
            ["run", "-d", "--name", name, *options, "busybox", "sh", "-c", "sleep 0.2; exit 3"],
            ["run", "--rm", *options, "busybox", "sh", "-c", "exit 3"],
            ["run", "-d", "--rm", *options, *sleeping],
            ["create", "--name", name, *options, *sleeping],
            ["start", name],
            ["stop", "-t", "0", name],
            ["restart", "-t", "0", name],
            ["kill", name],
            ["pause", name],
            ["unpause", name],
            ["rename", name, f"{name}-{chance.randrange(9)}"],
            ["exec", name, "sh", "-c", "sleep 0.1; exit 4"],
            ["exec", "-d", name, "sleep", "0.3"],
            ["rm", "-f", name],
            ["rm", "-f", "-v", name],
            ["volume", "create", name],
            ["volume", "rm", name],
            ["network", "create", f"net-{name}"],
            ["network", "rm", f"net-{name}"],
            ["network", "connect", f"net-{name}", other],
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
        interrupt(engine, command(chance), chance.uniform(0.05, LATEST_S))
        engine.cli("ps")
        assert invariants.broken(engine, isolation) == []
    remove_everything(engine)
    assert remains.of(engine, isolation) == []
    assert (engine.request("GET", "/volumes")[1]["Volumes"] or []) == []


def interrupt(engine: EngineUnderTest, words: list[str], at_s: float) -> None:
    """Kills the engine `at_s` into a command, which may fail, but with words for a person."""
    print(f"{at_s:.3f} s: {' '.join(words)}")
    with subprocess.Popen(
        engine.argv(*words),
        env=engine.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        time.sleep(at_s)  # the moment itself is what is tested
        engine.kill9()
        output, _ = running.communicate(timeout=30)
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
