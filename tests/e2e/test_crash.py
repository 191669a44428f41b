"""The engine killed with SIGKILL: what runs goes on, and the next engine takes over."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.support import remains
from tests.support.engine import EngineUnderTest
from tests.support.isolation import Isolation
from tests.support.waiting import wait_until
from tests.support.web import answers, get

ROUNDS = 8
URL = "http://127.0.0.1:18080/"
RUNNING = """\
services:
  web:
    image: busybox
    command: sh -c 'mkdir -p /www && echo hello > /www/index.html && exec httpd -f -p 8000 -h /www'
    ports: ["18080:8000"]
    restart: unless-stopped
    stop_signal: SIGKILL
  peer:
    image: busybox
    command: >-
      sh -c 'while :; do printf "GET / HTTP/1.0\\r\\n\\r\\n" | nc -w 2 web 8000 | grep -q hello
      && date +%s.%N >> /out/seen; sleep 0.1; done'
    volumes: ["./out:/out"]
    stop_signal: SIGKILL
  once:
    image: busybox
    command: sh -c 'until [ -e /out/end ]; do sleep 0.05; done; exit 7'
    volumes: ["./out:/out"]
    stop_signal: SIGKILL
"""
SMALL = """\
services:
  first:
    image: busybox
    command: sleep 1000
    stop_signal: SIGKILL
    volumes: ["kept:/kept"]
    ports: ["18080:8000"]
    healthcheck: {test: "true", interval: 100ms}
  second:
    image: busybox
    command: sleep 1000
    stop_signal: SIGKILL
    depends_on: {first: {condition: service_healthy}}
  third:
    image: busybox
    command: sleep 1000
    stop_signal: SIGKILL
    networks: [default, other]
    scale: 2
networks: {other: {}}
volumes: {kept: {}}
"""


def test_what_runs_goes_on_without_the_engine_and_the_next_one_adopts_it(
    engine: EngineUnderTest, project: Path, isolation: Isolation
) -> None:
    (project / "stack.yml").write_text(RUNNING)
    out = project / "out"
    out.mkdir()
    engine.cli("up", "-d", cwd=project)
    wait_until(lambda: answers(URL), "the published port answers")
    wait_until((out / "seen").exists, "the peer reaches web by its name")
    before = by_name(engine)
    web_pid = engine.inspect("demo-web-1")["State"]["Pid"]

    engine.kill9()
    seen = (out / "seen").stat().st_size
    assert get(URL) == "hello\n"
    wait_until(lambda: (out / "seen").stat().st_size > seen, "the peer still finds web by name")
    (out / "end").touch()
    os.kill(web_pid, signal.SIGKILL)
    wait_until(lambda: not answers(URL), "web is down")

    listed = engine.cli("ps", "-a", cwd=project).stdout
    assert all(name.lstrip("/") in listed for name in before), "a command started a new engine"
    wait_until(lambda: answers(URL), "web was restarted by its policy")
    after = by_name(engine)
    assert {name: c["Id"] for name, c in after.items()} == {n: c["Id"] for n, c in before.items()}
    assert after["/demo-once-1"]["Status"].startswith("Exited (7)")
    assert engine.inspect("demo-once-1")["State"]["ExitCode"] == 7
    web = engine.inspect("demo-web-1")
    assert (web["State"]["Status"], web["RestartCount"]) == ("running", 1)
    assert exit_codes(engine)["demo-web-1"] == ["137"]

    seen = (out / "seen").stat().st_size
    wait_until(lambda: (out / "seen").stat().st_size > seen, "names work with the new engine")
    engine.cli("down", "-t", "0", cwd=project)
    assert remains.of(engine, isolation) == []
    assert not answers(URL)


def test_an_engine_killed_at_any_moment_of_up_and_down_leaves_nothing_behind(
    engine: EngineUnderTest, project: Path, isolation: Isolation
) -> None:
    (project / "stack.yml").write_text(SMALL)
    seed = int(os.environ.get("PYSTACK_TEST_SEED") or time.time())
    print(f"PYSTACK_TEST_SEED={seed}")
    moments = random.Random(seed)
    up_s = timed(engine, project, "up", "-d", "--wait")
    expected = sorted(by_name(engine))
    assert len(expected) == 4
    down_s = timed(engine, project, "down", "-v")
    assert remains.of(engine, isolation) == []

    for number in range(ROUNDS):
        at_s = moments.uniform(0, up_s)
        print(f"round {number}: up killed at {at_s:.3f} of {up_s:.3f} s")
        kill_during(engine, project, at_s, "up", "-d", "--wait")
        engine.cli("up", "-d", "--wait", cwd=project)
        assert sorted(by_name(engine)) == expected
        assert {c["State"] for c in engine.containers()} == {"running"}

        at_s = moments.uniform(0, down_s)
        print(f"round {number}: down killed at {at_s:.3f} of {down_s:.3f} s")
        kill_during(engine, project, at_s, "down", "-v")
        engine.cli("down", "-v", cwd=project)
        assert remains.of(engine, isolation) == []
        assert (engine.request("GET", "/volumes")[1]["Volumes"] or []) == []


def kill_during(engine: EngineUnderTest, project: Path, at_s: float, *args: str) -> None:
    """Kills the engine `at_s` into a command, and waits for that to notice."""
    with subprocess.Popen(
        engine.argv(*args),
        cwd=project,
        env=engine.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as command:
        time.sleep(at_s)  # the moment itself is what is tested
        engine.kill9()
        output, _ = command.communicate(timeout=60)
    assert "Traceback" not in output, output


def timed(engine: EngineUnderTest, project: Path, *args: str) -> float:
    begun = time.monotonic()
    engine.cli(*args, cwd=project)
    return time.monotonic() - begun


def by_name(engine: EngineUnderTest) -> dict[str, dict[str, Any]]:
    return {c["Names"][0]: c for c in engine.containers()}


def exit_codes(engine: EngineUnderTest) -> dict[str, list[str]]:
    """The exit codes in the history of events, by container."""
    _, text = engine.request("GET", f"/events?since=0&until={int(time.time()) + 1}")
    lines = [text] if isinstance(text, dict) else [json.loads(x) for x in text.splitlines() if x]
    found: dict[str, list[str]] = {}
    for event in lines:
        if event["Type"] == "container" and event["Action"] == "die":
            attributes = event["Actor"]["Attributes"]
            found.setdefault(attributes["name"], []).append(attributes["exitCode"])
    return found
