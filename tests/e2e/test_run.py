"""`pystack run`: one container from the command line, its output and its exit code."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.engine import EngineUnderTest
from tests.support.waiting import wait_until


@pytest.mark.usefixtures("hub")
def test_run_gives_the_command_s_output_and_exit_code_and_leaves_nothing_with_rm(
    engine: EngineUnderTest, project: Path
) -> None:
    said = engine.run("run", "--rm", "busybox", "echo", "hi", cwd=project)
    assert (said.exit_code, said.stdout) == (0, "hi\n"), said.output
    assert engine.run("run", "--rm", "busybox", "sh", "-c", "exit 3").exit_code == 3
    absent = engine.run("run", "--rm", "busybox", "no-such-command")
    assert absent.exit_code == 127, absent.output
    assert "no-such-command" in absent.stderr
    assert engine.containers() == []


@pytest.mark.usefixtures("hub")
def test_a_stopped_container_keeps_its_exit_code_until_it_is_removed(
    engine: EngineUnderTest,
) -> None:
    engine.cli("run", "-d", "--name", "sleeper", "busybox", "sleep", "1000")
    assert "sleeper" in engine.cli("ps").stdout
    engine.cli("stop", "-t", "0", "sleeper")
    state = engine.inspect("sleeper")["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 137)
    engine.cli("rm", "sleeper")
    assert engine.containers() == []


@pytest.mark.usefixtures("hub")
def test_run_that_is_ended_at_any_moment_leaves_no_container_with_rm(
    engine: EngineUnderTest,
) -> None:
    engine.cli("pull", "-q", "busybox")
    ends_when_asked = "trap 'exit 0' TERM; sleep 100 & wait"
    argv = engine.argv("run", "--rm", "busybox", "sh", "-c", ends_when_asked)
    for delay_ms in range(10, 130, 10):
        process = subprocess.Popen(argv, env=engine.env, stderr=subprocess.PIPE, text=True)
        time.sleep(delay_ms / 1000)
        process.send_signal(signal.SIGTERM)
        # One that came before the shell had its trap is lost on it, as on any first process.
        while True:
            try:
                _, said = process.communicate(timeout=1)
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGTERM)
        assert "Traceback" not in said
        assert process.returncode in (0, 1, -signal.SIGTERM, 128 + signal.SIGTERM), said
    wait_until(lambda: engine.containers() == [], "nothing is left")
