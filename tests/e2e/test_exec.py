"""`exec`: more commands in a running container, and what becomes of them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import EngineUnderTest
from tests.support.waiting import wait_until

_SYS_ADMIN = 21

pytestmark = pytest.mark.usefixtures("hub", "emptied")


@pytest.fixture
def sleeper(engine: EngineUnderTest) -> str:
    """A container that does nothing."""
    command = ("sleep", "1000")
    engine.cli("run", "-d", "--name", "sleeper", "-e", "FROM=container", "busybox", *command)
    return "sleeper"


def made(engine: EngineUnderTest, container: str, *command: str, **more: Any) -> str:
    """The id of an exec, not started."""
    body = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True, **more}
    status, answer = engine.request("POST", f"/containers/{container}/exec", body)
    assert status == 201, answer
    return str(answer["Id"])


def inspected(engine: EngineUnderTest, identifier: str) -> dict[str, Any]:
    status, answer = engine.request("GET", f"/exec/{identifier}/json")
    assert status == 200, answer
    return dict(answer)


def test_its_output_input_and_exit_code_are_the_command_s(
    engine: EngineUnderTest, sleeper: str
) -> None:
    said = engine.run("exec", sleeper, "sh", "-c", "echo out; echo err >&2; exit 5")
    assert (said.exit_code, said.stdout, said.stderr) == (5, "out\n", "err\n")
    text = "".join(f"line {n}\n" for n in range(20000))
    assert engine.cli("exec", "-i", sleeper, "cat", stdin=text).stdout == text
    # Without -i there is no stdin, and nothing waits for its end.
    assert engine.cli("exec", sleeper, "cat", stdin="unread").stdout == ""


def test_what_cannot_be_executed_ends_as_docker_s_does(
    engine: EngineUnderTest, sleeper: str
) -> None:
    for command, code in (("no-such-program", 127), ("/etc/passwd", 126)):
        refused = engine.run("exec", sleeper, command)
        assert (refused.exit_code, bool(refused.stderr)) == (code, True), refused.output
    refused = engine.run("exec", "-u", "nobody-here", sleeper, "true")
    assert refused.exit_code == 126
    assert "nobody-here" in refused.stderr
    assert engine.run("exec", "no-such-container", "true").exit_code == 1
    engine.cli("pause", sleeper)
    paused = engine.run("exec", sleeper, "true")
    assert (paused.exit_code, "paused" in paused.stderr) == (1, True)
    engine.cli("unpause", sleeper)
    engine.cli("stop", "-t", "0", sleeper)
    stopped = engine.run("exec", sleeper, "true")
    assert (stopped.exit_code, "not running" in stopped.stderr) == (1, True)


def test_its_environment_user_and_directory_are_the_container_s_unless_said(
    engine: EngineUnderTest, sleeper: str, tmp_path: Path
) -> None:
    asked = "echo $FROM $MORE $FILE $(id -u):$(id -g) $(pwd)"
    assert engine.cli("exec", sleeper, "sh", "-c", asked).stdout == "container 0:0 /\n"
    (tmp_path / "env").write_text("# a comment\nFILE=file\n")
    said = engine.cli(
        *("exec", "-e", "MORE=flag", "--env-file", str(tmp_path / "env")),
        *("-u", "1000:50", "-w", "/tmp", sleeper, "sh", "-c", asked),
    )
    assert said.stdout == "container flag file 1000:50 /tmp\n"
    held = ("grep", "CapEff", "/proc/self/status")
    usual, every = (
        int(engine.cli("exec", *more, sleeper, *held).stdout.split()[1], 16)
        for more in ((), ("--privileged",))
    )
    assert (usual & 1 << _SYS_ADMIN, every & 1 << _SYS_ADMIN) == (0, 1 << _SYS_ADMIN)


def test_detached_it_goes_on_alone_and_leaves_no_zombie(
    engine: EngineUnderTest, sleeper: str
) -> None:
    engine.cli("exec", "-d", sleeper, "sh", "-c", "echo done > /done")
    wait_until(lambda: engine.run("exec", sleeper, "cat", "/done").stdout == "done\n", "it has run")
    for _ in range(5):
        engine.cli("exec", sleeper, "true")
    wait_until(
        lambda: engine.cli("exec", sleeper, "ps").stdout.count("\n") == 3,
        "ps shows a heading, the sleep and itself",
    )


def test_the_api_tells_its_state_and_starts_it_once(engine: EngineUnderTest, sleeper: str) -> None:
    identifier = made(engine, sleeper, "sh", "-c", "exit 4")
    waiting = inspected(engine, identifier)
    assert (waiting["Running"], waiting["ExitCode"], waiting["Pid"]) == (False, None, 0)
    start = f"/exec/{identifier}/start"
    assert engine.request("POST", start, {"Detach": True})[0] == 200
    ended = wait_until(
        lambda: (e := inspected(engine, identifier))["ExitCode"] is not None and e, "it ended"
    )
    assert (ended["Running"], ended["ExitCode"], ended["CanRemove"]) == (False, 4, True)
    assert ended["ProcessConfig"]["entrypoint"] == "sh"
    assert ended["ContainerID"] == engine.inspect(sleeper)["Id"]
    assert engine.request("POST", start, {"Detach": True})[0] == 409
    assert engine.request("POST", "/exec/none/start", {})[0] == 404
    assert engine.request("GET", "/exec/none/json")[0] == 404
    assert engine.request("POST", f"/containers/{sleeper}/exec", {"Cmd": []})[0] == 400


def test_it_is_told_as_events(engine: EngineUnderTest, sleeper: str) -> None:
    began = int(time.time())
    engine.run("exec", sleeper, "sh", "-c", "exit 3")
    until = int(time.time()) + 1
    _, text = engine.request("GET", f"/events?since={began}&until={until}")
    events = [json.loads(line) for line in text.splitlines()]
    told = [e for e in events if e["Action"].startswith("exec_")]
    assert [e["Action"] for e in told] == [
        "exec_create: sh -c exit 3",
        "exec_start: sh -c exit 3",
        "exec_die",
    ]
    assert told[-1]["Actor"]["Attributes"]["exitCode"] == "3"
    assert len({e["Actor"]["Attributes"]["execID"] for e in told}) == 1


def test_stopping_the_container_ends_its_execs(engine: EngineUnderTest, sleeper: str) -> None:
    identifier = made(engine, sleeper, "sleep", "1000")
    engine.request("POST", f"/exec/{identifier}/start", {"Detach": True})
    assert inspected(engine, identifier)["Running"]
    engine.cli("kill", sleeper)
    wait_until(lambda: inspected(engine, identifier)["ExitCode"] == 137, "it was killed too")
