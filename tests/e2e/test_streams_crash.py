"""The engine killed with SIGKILL while commands are joined to containers."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.support.engine import EngineUnderTest
from tests.support.terminal import on_terminal
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("hub", "emptied")

ROUNDS = 4
LINES = 60
COUNT = f"n=0; while [ $n -lt {LINES} ]; do echo line $n; n=$((n+1)); sleep 0.05; done"
EXPECTED = [f"line {n}" for n in range(LINES)]


@contextmanager
def started(engine: EngineUnderTest, *args: str) -> Iterator[subprocess.Popen[str]]:
    """A command whose output is kept; killed with the block."""
    with subprocess.Popen(
        engine.argv(*args),
        env=engine.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_run_and_logs_lose_and_repeat_no_line_and_execs_go_on(engine: EngineUnderTest) -> None:
    seed = int(os.environ.get("PYSTACK_TEST_SEED") or time.time())
    print(f"PYSTACK_TEST_SEED={seed}")
    moments = random.Random(seed)
    engine.cli("run", "-d", "--name", "sleeper", "busybox", "sleep", "1000")
    for number in range(ROUNDS):
        name = f"counter{number}"
        with ExitStack() as stack:
            front = stack.enter_context(
                started(engine, "run", "--name", name, "busybox", "sh", "-c", f"{COUNT}; exit 7")
            )
            inside = stack.enter_context(
                started(engine, "exec", "sleeper", "sh", "-c", f"{COUNT}; touch /{name}; exit 9")
            )
            wait_until(lambda n=name: running(engine, n), "it runs")  # type: ignore[misc]
            log = stack.enter_context(started(engine, "logs", "-f", name))
            at_s = moments.uniform(0.2, 2.0)
            print(f"round {number}: killed after {at_s:.3f} s")
            time.sleep(at_s)  # the moment itself is what is tested
            engine.kill9()
            output, told = front.communicate(timeout=60)
            assert (output.splitlines(), front.returncode) == (EXPECTED, 7), told
            output, told = log.communicate(timeout=60)
            assert (output.splitlines(), log.returncode) == (EXPECTED, 0), told
            output, told = inside.communicate(timeout=60)
            assert inside.returncode == 9, told
            assert set(output.splitlines()) <= set(EXPECTED)
            assert "Traceback" not in told
        assert engine.cli("exec", "sleeper", "ls", f"/{name}").stdout == f"/{name}\n"


def running(engine: EngineUnderTest, name: str) -> bool:
    return any(f"/{name}" in c["Names"] and c["State"] == "running" for c in engine.containers())


def test_a_container_that_ends_and_goes_without_an_engine_still_gives_its_exit_code(
    engine: EngineUnderTest,
) -> None:
    engine.cli("pull", "busybox")
    with started(
        engine, "run", "--rm", "--name", "brief", "busybox", "sh", "-c", "sleep 1; exit 5"
    ) as run:
        wait_until(lambda: running(engine, "brief"), "it runs")
        engine.kill9()
        output, told = run.communicate(timeout=60)
        assert run.returncode == 5, output + told
    assert engine.containers() == []


def test_a_detached_exec_is_known_to_the_next_engine(engine: EngineUnderTest) -> None:
    engine.cli("run", "-d", "--name", "sleeper", "busybox", "sleep", "1000")
    identifiers = []
    for code, rest in ((3, "sleep 0.2"), (4, "sleep 3")):
        body = {"Cmd": ["sh", "-c", f"{rest}; exit {code}"]}
        identifier = engine.request("POST", "/containers/sleeper/exec", body)[1]["Id"]
        engine.request("POST", f"/exec/{identifier}/start", {"Detach": True})
        identifiers.append(identifier)
    engine.kill9()
    time.sleep(0.5)  # the first ends while no engine is there
    engine.start()

    def state(identifier: str) -> tuple[bool, int | None]:
        found = engine.request("GET", f"/exec/{identifier}/json")[1]
        return found["Running"], found["ExitCode"]

    wait_until(lambda: state(identifiers[0]) == (False, 3), "the first one's exit code is known")
    wait_until(lambda: state(identifiers[1]) == (False, 4), "the second one was watched again")


def test_a_shell_at_a_terminal_survives(engine: EngineUnderTest) -> None:
    engine.cli("pull", "busybox")
    for args in (
        ("run", "-it", "--name", "shell", "busybox"),
        ("exec", "-it", "shell", "sh"),
    ):
        if args[0] == "exec":
            engine.cli("start", "shell")
        with on_terminal(engine.argv(*args), engine.env) as terminal:
            terminal.expect("/ # ")
            terminal.type("here=1; echo se''t\n")
            terminal.expect("set\r\n")
            engine.kill9()
            terminal.expect("the engine was restarted")
            terminal.type("echo still $here\n")
            terminal.expect("still 1\r\n")
            terminal.type("exit 6\n")
            assert terminal.ended() == 6
