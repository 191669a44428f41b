"""`logs` of one container: what is shown, from when to when, and followed."""

from __future__ import annotations

import subprocess
import time
from datetime import datetime

import pytest

from tests.support.engine import EngineUnderTest

pytestmark = pytest.mark.usefixtures("hub", "emptied")


def ended(engine: EngineUnderTest, name: str, script: str, *flags: str) -> None:
    """A container that has run the script to its end."""
    engine.run("run", "--name", name, *flags, "busybox", "sh", "-c", script)


def test_streams_stay_apart_and_partial_lines_stay_so(engine: EngineUnderTest) -> None:
    ended(engine, "both", "echo out; echo err >&2; printf 'no newline'")
    said = engine.cli("logs", "both")
    assert (said.stdout, said.stderr) == ("out\nno newline", "err\n")
    long = "x" * 100_000
    ended(engine, "long", "head -c 100000 /dev/zero | tr '\\0' x; echo; echo short")
    assert engine.cli("logs", "long").stdout == f"{long}\nshort\n"
    assert engine.cli("logs", "-n", "1", "long").stdout == "short\n"


def test_tail_times_and_windows(engine: EngineUnderTest) -> None:
    ended(engine, "timed", "echo one; sleep 1; echo two; sleep 1; echo three")
    assert engine.cli("logs", "--tail", "2", "timed").stdout == "two\nthree\n"
    assert engine.cli("logs", "-n", "0", "timed").stdout == ""
    lines = engine.cli("logs", "-t", "timed").stdout.splitlines()
    times = [line.split(" ")[0] for line in lines]
    assert [line.split(" ")[1] for line in lines] == ["one", "two", "three"]
    assert all(len(t) == len("2026-01-01T00:00:00.123456789Z") and t.endswith("Z") for t in times)
    first, second = (datetime.fromisoformat(t[:26] + "+00:00").timestamp() for t in times[:2])
    middle = f"{(first + second) / 2:.6f}"
    assert engine.cli("logs", "--since", middle, "timed").stdout == "two\nthree\n"
    assert engine.cli("logs", "--until", middle, "timed").stdout == "one\n"
    assert engine.cli("logs", "--since", "1h", "--until", middle, "timed").stdout == "one\n"


def test_details_and_no_log_at_all(engine: EngineUnderTest) -> None:
    ended(
        engine, "tagged", "echo line",
        "--label", "app=web", "-e", "TIER=front", "--log-opt", "labels=app",
        "--log-opt", "env=TIER",
    )  # fmt: skip
    assert engine.cli("logs", "--details", "tagged").stdout == "TIER=front,app=web line\n"
    ended(engine, "silent", "echo gone", "--log-driver", "none")
    refused = engine.run("logs", "silent")
    assert refused.exit_code == 1
    assert "configured logging driver does not support reading" in refused.stderr
    engine.cli("create", "--name", "fresh", "busybox")
    assert engine.cli("logs", "fresh").stdout == ""


def test_a_terminal_s_log_is_raw(engine: EngineUnderTest) -> None:
    engine.cli("run", "-t", "--name", "tty", "busybox", "sh", "-c", "echo one; echo two >&2")
    done = subprocess.run(
        engine.argv("logs", "tty"), env=engine.env, capture_output=True, check=True
    )
    assert (done.stdout, done.stderr) == (b"one\r\ntwo\r\n", b"")


def test_followed_lines_come_at_once_over_rotation_and_end_with_the_container(
    engine: EngineUnderTest,
) -> None:
    script = "n=0; while [ $n -lt 3000 ]; do echo line $n; n=$((n+1)); done; sleep 1; echo last"
    engine.cli(
        "run", "-d", "--name", "rotated", "--log-opt", "max-size=10k", "--log-opt", "max-file=9",
        "busybox", "sh", "-c", f"until [ -e /go ]; do sleep 0.05; done; {script}",
    )  # fmt: skip
    with subprocess.Popen(
        engine.argv("logs", "-f", "rotated"), env=engine.env, stdout=subprocess.PIPE
    ) as follower:
        time.sleep(0.3)
        engine.cli("exec", "rotated", "touch", "/go")
        output, _ = follower.communicate(timeout=60)
    assert output.decode().splitlines() == [*(f"line {n}" for n in range(3000)), "last"]
    assert follower.returncode == 0


def test_following_until_a_moment_ends_then(engine: EngineUnderTest) -> None:
    engine.cli("run", "-d", "--name", "on", "busybox", "sh", "-c", "echo first; sleep 1000")
    began = time.monotonic()
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    assert engine.cli("logs", "-f", "--until", until, "on").stdout == "first\n"
    assert time.monotonic() - began < 20
