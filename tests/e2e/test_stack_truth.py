"""A stack stays as its file says: repaired, in order, changed as it runs, and taken back."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.engine import EngineUnderTest, Result
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("hub")

Stack = Callable[..., Result]


@pytest.fixture
def stack(engine: EngineUnderTest, project: Path) -> Iterator[Stack]:
    """Writes a stack file where a text is given first, and runs a command about it."""

    def run(*words: str, file: str = "", **options: object) -> Result:
        if file:
            (project / "stack.yml").write_text(file)
        return engine.cli(*words, cwd=project, **options)

    yield run
    engine.cli("down", "-t", "0", "-v", cwd=project)


def pid_of(engine: EngineUnderTest, name: str) -> int:
    return int(engine.inspect(name)["State"]["Pid"])


def is_up(engine: EngineUnderTest, name: str) -> bool:
    status, found = engine.request("GET", f"/containers/{name}/json")
    return status == 200 and found["State"]["Running"]


ONE = """
services:
  web:
    image: busybox
    command: sleep 1000
    init: true
"""


def test_what_is_removed_or_killed_from_outside_comes_back_and_why_tells_it(
    engine: EngineUnderTest, stack: Stack
) -> None:
    stack("up", "-d", file=ONE)
    first = engine.inspect("demo-web-1")["Id"]
    engine.cli("rm", "-f", "demo-web-1")
    wait_until(lambda: is_up(engine, "demo-web-1"), "the container is made again")
    assert engine.inspect("demo-web-1")["Id"] != first
    wait_until(lambda: _ran_for(engine, "demo-web-1") > 1.2, "it has run for a while")
    before = pid_of(engine, "demo-web-1")
    os.kill(before, signal.SIGKILL)
    wait_until(
        lambda: is_up(engine, "demo-web-1") and pid_of(engine, "demo-web-1") != before,
        "the killed container is started again",
    )
    said = stack("why", "web").stdout
    assert "repaired: create container demo-web-1" in said
    assert "killed from outside" in said
    assert stack("diff").stdout == "up to date, nothing to change\n"


def _ran_for(engine: EngineUnderTest, name: str) -> float:
    began = engine.inspect(name)["State"]["StartedAt"]
    return time.time() - datetime.fromisoformat(began[:26] + "+00:00").timestamp()


LIVE = """
services:
  web:
    image: busybox
    command: sleep 1000
    init: true
    labels: {{colour: {colour}}}
    ports: ["{port}:80"]
    mem_limit: {memory}
    cpus: {cpus}
    pids_limit: {pids}
    restart: {restart}
    healthcheck: {{test: ["CMD", "true"], interval: {interval}}}
    logging: {{options: {{max-size: {size}}}}}
"""


def test_ports_limits_policies_and_labels_change_without_a_new_process(
    engine: EngineUnderTest, stack: Stack
) -> None:
    one = LIVE.format(
        colour="red", port=18101, memory="64m", cpus=0.5, pids=50, restart="always",
        interval="30s", size="1m",
    )  # fmt: skip
    two = LIVE.format(
        colour="blue", port=18102, memory="96m", cpus=0.25, pids=60, restart="on-failure:2",
        interval="20s", size="2m",
    )  # fmt: skip
    stack("up", "-d", file=one)
    pid = pid_of(engine, "demo-web-1")
    stack("up", "-d", file=two)
    assert pid_of(engine, "demo-web-1") == pid
    found = engine.inspect("demo-web-1")
    host = found["HostConfig"]
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (96 << 20, 250_000_000, 60)
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}
    assert found["Config"]["Labels"]["colour"] == "blue"
    assert [b["HostPort"] for b in found["NetworkSettings"]["Ports"]["80/tcp"]] == ["18102"] * 2
    seen = engine.cli("exec", "demo-web-1", "sh", "-c",
                      "cat /sys/fs/cgroup/memory/memory.limit_in_bytes"
                      " /sys/fs/cgroup/memory.max 2>/dev/null; true").stdout  # fmt: skip
    assert str(96 << 20) in seen
    # The rest needs a new container, and the plan says which and why.
    three = two.replace("sleep 1000", "sleep 1001")
    plan = engine.run("plan", cwd=Path(found["Config"]["Labels"][
        "com.docker.compose.project.working_dir"]))  # fmt: skip
    assert plan.exit_code == 0
    stack("up", "-d", file=three)
    assert pid_of(engine, "demo-web-1") != pid


ORDERED = """
services:
  web:
    image: busybox
    init: true
    command: sh -c 'nc -w 3 db 5432 </dev/null && echo reached || echo missed; exec sleep 1000'
    restart: always
    depends_on: {db: {condition: service_healthy, restart: true}}
  side:
    image: busybox
    init: true
    command: sleep 1000
    restart: always
    network_mode: service:web
  db:
    image: busybox
    init: true
    command: sh -c 'sleep 1; exec httpd -f -p 5432'
    restart: always
    healthcheck: {test: ["CMD-SHELL", "nc -w 1 127.0.0.1 5432 </dev/null"],
                  interval: 200ms, start_period: 20s, start_interval: 200ms}
"""


def test_order_holds_when_everything_died_with_the_engine(
    engine: EngineUnderTest, stack: Stack
) -> None:
    stack("up", "-d", file=ORDERED)
    assert "missed" not in stack("logs", "web").stdout
    pids = [pid_of(engine, f"demo-{name}-1") for name in ("web", "side", "db")]
    engine.kill9()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    engine.start()
    wait_until(
        lambda: all(is_up(engine, f"demo-{n}-1") for n in ("web", "side", "db")),
        "all run",
        within_s=60,
    )
    wait_until(lambda: stack("logs", "web").stdout.count("reached") == 2, "web has begun twice")
    assert "missed" not in stack("logs", "web").stdout
    began = {n: engine.inspect(f"demo-{n}-1")["State"]["StartedAt"] for n in ("web", "side", "db")}
    assert began["db"] < began["web"] < began["side"]


def test_what_depends_on_or_shares_a_namespace_follows(
    engine: EngineUnderTest, stack: Stack
) -> None:
    stack("up", "-d", file=ORDERED)
    web, side = pid_of(engine, "demo-web-1"), pid_of(engine, "demo-side-1")
    stack("restart", "db")
    wait_until(lambda: is_up(engine, "demo-side-1"), "all run")
    assert pid_of(engine, "demo-web-1") != web
    assert pid_of(engine, "demo-side-1") != side
    spaces = {
        Path(f"/proc/{pid_of(engine, f'demo-{n}-1')}/ns/net").readlink() for n in ("web", "side")
    }
    assert len(spaces) == 1


GRANTS = """
services:
  web:
    image: granted
    init: true
    command:
      - sh
      - -c
      - trap 'cat /etc/app.conf' HUP; cat /etc/app.conf; while true; do sleep 0.1; done
    build:
      context: .
      dockerfile_inline: |
        FROM busybox
        RUN --mount=type=secret,id=password test -s /run/secrets/password
      secrets: [password]
    secrets: [{source: password, uid: "33", mode: 0400}]
    configs: [{source: app, target: /etc/app.conf}]
secrets: {password: {environment: PASSWORD}}
configs:
  app:
    content: colour=${COLOUR}
    x-pystack: {on_change: "signal:HUP"}
"""


def test_a_config_is_swapped_as_it_runs_and_a_secret_leaves_no_trace(
    engine: EngineUnderTest, stack: Stack, project: Path
) -> None:
    stack("up", "-d", file=GRANTS, env={"PASSWORD": "s3cr3t-one", "COLOUR": "red"})
    pid = pid_of(engine, "demo-web-1")
    show = ("exec", "demo-web-1", "sh", "-c",
            "cat /run/secrets/password; stat -c %u:%a /run/secrets/password")  # fmt: skip
    assert engine.cli(*show).stdout == "s3cr3t-one33:400\n"
    stack("up", "-d", env={"PASSWORD": "s3cr3t-one", "COLOUR": "blue"})
    assert pid_of(engine, "demo-web-1") == pid
    assert engine.cli("exec", "demo-web-1", "cat", "/etc/app.conf").stdout == "colour=blue"
    wait_until(lambda: "colour=blue" in engine.cli("logs", "demo-web-1").stdout, "the signal")
    plan = engine.run("plan", cwd=project, env={"PASSWORD": "s3cr3t-two", "COLOUR": "blue"})
    assert (plan.exit_code, plan.stdout.splitlines()[0]) == (
        2, "replace container demo-web-1: secrets/password"
    )  # fmt: skip
    stack("up", "-d", env={"PASSWORD": "s3cr3t-two", "COLOUR": "blue"})
    assert pid_of(engine, "demo-web-1") != pid
    assert "s3cr3t-two" in engine.cli(*show).stdout
    engine.stop()
    with sqlite3.connect(engine.directory / "data/state.db") as database:
        dump = "\n".join(database.iterdump())
    assert "s3cr3t" not in dump
    assert "s3cr3t" not in engine.output()
    found = subprocess.run(
        ["grep", "-rl", "s3cr3t", engine.directory / "data"], capture_output=True, check=False
    )
    assert found.stdout == b""
    engine.start()


def test_going_back_to_an_earlier_revision(engine: EngineUnderTest, stack: Stack) -> None:
    stack("up", "-d", file=ONE)
    stack("up", "-d", file=ONE.replace("sleep 1000", "sleep 2000"))
    stack("up", "-d", file=ONE.replace("sleep 1000", "sleep 3000"))
    listed = stack("history").stdout.splitlines()
    assert [line.split()[0] for line in listed[1:]] == ["3", "2", "1"]
    stack("rollback", "1")
    assert engine.inspect("demo-web-1")["Args"] == ["1000"]
    assert "rollback to 1" in stack("history").stdout
    missing = engine.run("compose", "rollback", "9", cwd=None, env={"COMPOSE_PROJECT_NAME": "demo"})
    assert missing.exit_code == 1
    assert "no revision 9" in missing.stderr


def test_an_edit_of_the_file_is_followed_and_a_broken_one_leaves_the_stack_alone(
    engine: EngineUnderTest, stack: Stack, project: Path
) -> None:
    (project / "stack.yml").write_text(ONE)
    command = engine.argv("up", "--follow")
    with subprocess.Popen(
        command, cwd=project, env=engine.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    ) as up:  # fmt: skip
        assert up.stderr is not None
        wait_until(lambda: is_up(engine, "demo-web-1"), "the stack is up")
        (project / "stack.yml").write_text(ONE.replace("command", "comand"))
        while "left as it is" not in (line := up.stderr.readline()):
            assert line
        assert "comand" in up.stderr.readline()
        assert is_up(engine, "demo-web-1")
        (project / "stack.yml").write_text(ONE.replace("sleep 1000", "sleep 4000"))
        wait_until(lambda: engine.inspect("demo-web-1")["Args"] == ["4000"], "the edit is applied")
        up.send_signal(signal.SIGINT)
        assert up.wait(timeout=30) == 130


SOCKET = """
services:
  asks:
    image: busybox
    command: sleep 1000
    stop_signal: SIGKILL
    use_api_socket: true
"""


def test_a_service_may_talk_to_the_engine_and_to_the_next_one(
    engine: EngineUnderTest, stack: Stack
) -> None:
    stack("up", "-d", file=SOCKET)
    shown = "echo $DOCKER_HOST; ls -l ${DOCKER_HOST#unix://}"
    for _ in range(2):
        said = engine.cli("exec", "demo-asks-1", "sh", "-c", shown).stdout.splitlines()
        assert said[0] == "unix:///run/pystack/pystack.sock"
        assert said[1].startswith("srw")
        engine.kill9()
        engine.start()


def test_an_image_that_was_pulled_too_long_ago_is_pulled_again(
    engine: EngineUnderTest, stack: Stack, project: Path
) -> None:
    aging = ONE.replace("image: busybox", "image: busybox\n    pull_policy: every_2s")
    stack("up", "-d", file=aging)
    pid = pid_of(engine, "demo-web-1")

    def planned() -> str:
        return engine.run("plan", cwd=project).stdout

    wait_until(lambda: planned().startswith("pull image busybox: asked for"), "it is too old")
    stack("up", "-d")
    assert planned() == "up to date, nothing to change\n"
    assert pid_of(engine, "demo-web-1") == pid, "it was the same image"
