"""Commands about a stack, against an engine that answers what the test says."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from tests.unit.cli.conftest import Said, Say
from tests.unit.client.fake_engine import CHUNKED, FakeEngine, as_json, chunk, json_lines

STACK = "services:\n  web:\n    image: busybox\n    command: sleep 1000\n"
UP = "POST /pystack/v1/stacks/demo/up"
LISTED = {
    "Id": "a" * 64,
    "Names": ["/demo-web-1"],
    "Image": "busybox",
    "ImageID": "sha256:" + "b" * 64,
    "Command": "sleep 1000",
    "Created": 0,
    "State": "running",
    "Status": "Up 2 minutes (healthy)",
    "Ports": [],
    "Labels": {
        "com.docker.compose.project": "demo",
        "com.docker.compose.service": "web",
        "com.docker.compose.container-number": "1",
    },
}


def progress(subject: str, step: str, done: bool = True) -> dict[str, object]:
    return {"progress": {"subject": subject, "step": step, "done": done}}


@pytest.fixture
def stack(place: Path) -> Path:
    file = place / "stack.yml"
    file.write_text(STACK)
    return file


def test_up_sends_the_whole_stack_and_shows_what_is_done(
    fake: FakeEngine, say: Say, stack: Path
) -> None:
    fake.on(UP, json_lines(progress("container demo-web-1", "started"), {"result": {"changed": 1}}))
    said = say("up", "-d", "--wait", "--wait-timeout", "5", "--scale", "web=2")
    assert (said.code, said.out) == (0, "")
    assert said.err == "container demo-web-1: started\n"
    body = fake.request(UP).json()
    sent = body.pop("stack")
    assert body == {
        "contents": {},
        "build": False,
        "no_build": False,
        "pull": "",
        "recreate": "diverged",
        "recreate_deps": False,
        "renew_volumes": False,
        "no_deps": False,
        "no_start": False,
        "grace_s": None,
        "wait": "healthy",
        "wait_timeout_s": 5.0,
        "remove_orphans": False,
        "ignore_orphans": False,
        "services": [],
    }
    assert (sent["name"], sent["files"]) == ("demo", [str(stack)])
    [web] = sent["services"]
    assert (web["name"], web["scale"], web["container"]["image"]) == ("web", 2, "busybox")


def test_a_second_up_says_that_nothing_changes(fake: FakeEngine, say: Say, stack: Path) -> None:
    fake.on(UP, json_lines({"result": {"changed": 0, "warnings": ["careful"]}}))
    said = say("up", "-d")
    assert said.err == "warning: careful\nup to date, nothing to change\n"


def test_up_follows_the_logs_until_all_has_ended(fake: FakeEngine, say: Say, stack: Path) -> None:
    fake.on(UP, json_lines({"result": {"changed": 1}}))
    line = {"service": "web", "number": 1, "stream": "stdout", "time": 1.0, "line": "hello"}
    fake.on("GET /pystack/v1/stacks/demo/logs", json_lines(line))
    said = say("up")
    assert (said.code, said.out) == (0, "web-1  | hello\n")


def test_the_log_goes_on_with_the_next_engine_after_the_last_line(
    fake: FakeEngine, say: Say, stack: Path
) -> None:
    record = {"service": "web", "number": 1, "time": 5.0, "line": "first"}
    dying = CHUNKED + chunk(json.dumps(record).encode() + b"\n")
    fake.on(
        "GET /pystack/v1/stacks/demo/logs",
        dying,
        json_lines(record, {**record, "time": 6.0, "line": "second"}),
    )
    said = say("logs", "-f", "--tail", "3")
    assert said.out == "web-1  | first\nweb-1  | second\n"
    assert fake.asked()[:2] == [
        "GET /pystack/v1/stacks/demo/logs?follow=1&tail=3",
        "GET /pystack/v1/stacks/demo/logs?follow=1&since=3.000000",
    ]


def test_following_ends_when_nothing_runs_any_more(fake: FakeEngine, say: Say, stack: Path) -> None:
    record = {"service": "web", "number": 1, "time": 5.0, "line": "bye"}
    rest = json_lines(record, {**record, "time": 6.0, "line": "late"})
    fake.on("GET /pystack/v1/stacks/demo/logs", endless(record), rest)
    fake.on("GET /containers/json", as_json([{**LISTED, "State": "exited"}]))
    assert say("logs", "-f") == Said(0, "web-1  | bye\nweb-1  | late\n", "")


def test_a_failed_up_says_why_and_what_to_do(fake: FakeEngine, say: Say, stack: Path) -> None:
    error = {"message": "port 80 is in use", "code": "port-in-use", "hint": "choose another"}
    fake.on(UP, json_lines({"error": error}))
    said = say("up", "-d")
    assert (said.code, said.err) == (1, "error: port 80 is in use\n  choose another\n")


def test_a_dry_run_prints_the_plan(fake: FakeEngine, say: Say, stack: Path) -> None:
    fake.on(UP, json_lines({"plan": ["create container demo-web-1: it is missing"]}))
    for words in (("up", "--dry-run"), ("plan",)):
        said = say(*words)
        assert (said.code, said.out) == (2, "create container demo-web-1: it is missing\n")
    assert all(request.json()["dry_run"] for request in fake.requests)


def test_a_broken_stack_file_is_told_before_anything_is_sent(
    fake: FakeEngine, say: Say, stack: Path
) -> None:
    stack.write_text("services:\n  web:\n    imagee: busybox\n")
    said = say("up", "-d")
    assert said.code == 1
    assert said.err.startswith("stack.yml:3:5: services.web.imagee")
    assert fake.asked() == []


def test_an_unknown_service_is_told_with_those_there_are(
    fake: FakeEngine, say: Say, stack: Path
) -> None:
    said = say("up", "-d", "wbe")
    assert said.code == 1
    assert said.err.splitlines() == [
        "error: stack demo has no service 'wbe'",
        "  its services are web",
    ]
    assert fake.asked() == []


def test_down_by_name_needs_no_file(fake: FakeEngine, say: Say, place: Path) -> None:
    down = "POST /pystack/v1/stacks/other/down"
    fake.on(down, json_lines(progress("container other-a-1", "removed"), {"result": {}}))
    said = say("-p", "other", "down", "-v", "-t", "1m")
    assert (said.code, said.err) == (0, "container other-a-1: removed\n")
    assert fake.request(down).json() == {
        "volumes": True,
        "grace_s": 60.0,
        "remove_orphans": False,
    }


@pytest.mark.parametrize("words", [(), ("-f", "stack.yml")])
def test_down_works_when_the_file_is_gone(
    fake: FakeEngine, say: Say, place: Path, words: tuple[str, ...]
) -> None:
    known = [
        {"name": "lost", "files": [str(place / "stack.yml")]},
        {"name": "elsewhere", "files": ["/elsewhere/stack.yml"]},
    ]
    fake.on("GET /pystack/v1/stacks", as_json(known))
    fake.on("POST /pystack/v1/stacks/lost/down", json_lines({"result": {"changed": 3}}))
    said = say(*words, "down")
    assert said.code == 0, said.err


def test_without_a_file_and_without_a_stack_the_names_looked_for_are_told(
    fake: FakeEngine, say: Say, place: Path
) -> None:
    fake.on("GET /pystack/v1/stacks", as_json([]))
    said = say("down")
    assert said.code == 1
    assert "stack.yml" in said.err
    assert "compose.yaml" in said.err


def test_ps_has_the_stacks_columns(fake: FakeEngine, say: Say, stack: Path) -> None:
    gone = {**LISTED, "State": "exited", "Names": ["/demo-old-1"]}
    fake.on("GET /containers/json", as_json([LISTED, gone]))
    said = say("compose", "ps")
    heading, row = said.out.splitlines()
    assert heading.split() == ["NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS"]
    assert row.startswith('demo-web-1   busybox   "sleep 1000"   web       ')
    assert row.endswith("Up 2 minutes (healthy)")
    assert say("-p", "demo", "ps", "-a", "-q").out == f"{'a' * 64}\n" * 2


def test_stop_of_one_service_is_a_wish_of_the_stack(
    fake: FakeEngine, say: Say, stack: Path
) -> None:
    stop = "POST /pystack/v1/stacks/demo/stop"
    fake.on(stop, json_lines(progress("container demo-web-1", "stopped"), {"result": {}}))
    said = say("compose", "stop", "-t", "2", "web")
    assert (said.code, said.err) == (0, "container demo-web-1: stopped\n")
    assert fake.request(stop).json() == {"services": ["web"], "grace_s": 2.0}


def test_restart_of_the_stack_is_one_wish(fake: FakeEngine, say: Say, stack: Path) -> None:
    restart = "POST /pystack/v1/stacks/demo/restart"
    fake.on(restart, json_lines({"result": {"changed": 1}}))
    assert say("restart").code == 0
    assert fake.request(restart).json() == {"services": [], "grace_s": None}


def test_config_prints_what_the_file_means(fake: FakeEngine, say: Say, stack: Path) -> None:
    value = json.loads(say("config", "--format", "json").out)
    assert value["name"] == "demo"
    assert value["services"]["web"] == {
        "command": ["sleep", "1000"],
        "entrypoint": None,
        "image": "busybox",
        "networks": {"default": None},
    }
    assert say("config", "-q").out == ""
    assert say("config", "--services").out == "web\n"
    assert fake.asked() == []


def test_ls_lists_stacks(fake: FakeEngine, say: Say) -> None:
    stacks = [
        {"name": "demo", "status": "running(2)", "files": ["/a/stack.yml"]},
        {"name": "old", "status": "exited(1)", "files": []},
    ]
    fake.on("GET /pystack/v1/stacks", as_json(stacks))
    assert say("ls").out.splitlines() == [
        "NAME      STATUS       CONFIG FILES",
        "demo      running(2)   /a/stack.yml",
    ]
    assert say("ls", "-a", "-q").out == "demo\nold\n"


def test_stack_builds_go_to_the_engine_with_their_tags(
    fake: FakeEngine, say: Say, stack: Path
) -> None:
    stack.write_text("services:\n  web:\n    build: .\n  db:\n    image: busybox\n")
    built = json_lines(progress("image demo-web", "built"), {"result": {"id": "sha256:1"}})
    fake.on("POST /pystack/v1/build", built)
    said = say("build", "--build-arg", "A=1")
    assert (said.code, said.err) == (0, "image demo-web: built\n")
    [request] = fake.requests
    assert request.json()["build"]["context"] == str(stack.parent)
    assert request.json()["build"]["args"] == {"A": "1"}
    assert len(request.json()["tags"]) == 1


def endless(value: object) -> Callable[[socket.socket], None]:
    """An answer of one line that goes on until the client has gone."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(CHUNKED + chunk(json.dumps(value).encode() + b"\n"))
        connection.recv(1)

    return answer


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_stack_and_a_second_one_at_once(
    fake: FakeEngine, say: Say, stack: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = "POST /pystack/v1/stacks/demo/stop"
    fake.on(UP, json_lines({"result": {"changed": 1}}))
    line = {"service": "web", "number": 1, "time": 1.0, "line": "hello"}
    last = {**line, "time": 2.0, "line": "bye"}
    fake.on("GET /pystack/v1/stacks/demo/logs", endless(line), json_lines(line, last))
    fake.on("GET /containers/json", as_json([LISTED]))
    fake.on(
        stop,
        endless(progress("c", "stopping")),
        json_lines(progress("c", "stopped"), {"result": {"changed": 1}}),
    )
    command = [sys.executable, "-m", "orchestrator.cli", "up"]
    root = Path(__file__).resolve().parents[3]
    monkeypatch.setenv("PYTHONPATH", str(root))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        assert up.stderr is not None
        assert up.stdout.readline() == "web-1  | hello\n"
        up.send_signal(number)
        while "stop at once" not in up.stderr.readline():
            assert up.poll() is None
        wait_until(lambda: fake.asked().count(stop) == 1, "the stop is asked for")
        up.send_signal(number)
        assert up.wait(timeout=10) == 130
        assert up.stdout.read() == "web-1  | bye\n"
        assert "Traceback" not in up.stderr.read()
    stops = [request.json() for request in fake.requests if request.path.endswith("/stop")]
    assert stops == [{}, {"grace_s": 0.0}]
