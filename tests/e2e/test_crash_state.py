"""What is known of containers outlives the engine: health, counters, execs, logs, exit codes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from orchestrator.state.database import open_database
from tests.support import remains
from tests.support.engine import EngineUnderTest
from tests.support.isolation import Isolation
from tests.support.waiting import wait_until

TICKING = "i=0; while :; do echo tick $i; i=$((i+1)); sleep 0.1; done"


def test_everything_known_of_containers_outlives_the_engine(
    engine: EngineUnderTest, isolation: Isolation
) -> None:
    engine.cli("pull", "-q", "busybox")
    health = ("--health-interval", "200ms", "--health-retries", "1", "--health-cmd")
    run(engine, "well", *health, "true", "busybox", "sleep", "600")
    run(engine, "ill", *health, "false", "busybox", "sleep", "600")
    run(engine, "ticking", "busybox", "sh", "-c", TICKING)
    run(engine, "paused", "busybox", "sleep", "600")
    run(engine, "brief", "--rm", "-v", "/anonymous", "busybox", "sleep", "600")
    run(engine, "hungry", "-m", "16m", "--memory-swap", "16m", "busybox", "sh", "-c",
        "sleep 1; exec tail /dev/zero")  # fmt: skip
    engine.cli("pause", "paused")
    wait_until(lambda: health_of(engine, "well") == "healthy", "well is healthy")
    wait_until(lambda: health_of(engine, "ill") == "unhealthy", "ill is unhealthy")
    session = exec_of(engine, "well", "sleep 0.5; exit 4")
    before = {name: engine.inspect(name)["State"]["Pid"] for name in ("well", "ill", "ticking")}
    brief = engine.inspect("brief")["State"]["Pid"]

    engine.kill9()
    os.kill(brief, signal.SIGKILL)
    wait_until(lambda: not os.path.exists(f"/proc/{brief}"), "brief has ended")  # noqa: PTH110
    engine.cli("ps")

    assert {name: engine.inspect(name)["State"]["Pid"] for name in before} == before
    assert health_of(engine, "ill") == "unhealthy"
    streak = engine.inspect("ill")["State"]["Health"]["FailingStreak"]
    wait_until(
        lambda: engine.inspect("ill")["State"]["Health"]["FailingStreak"] > streak,
        "ill is probed again, and its streak goes on",
    )
    assert health_of(engine, "well") == "healthy"
    assert engine.inspect("paused")["State"]["Status"] == "paused"
    assert engine.request("GET", "/containers/brief/json")[0] == 404
    assert engine.request("GET", "/volumes")[1]["Volumes"] in (None, [])
    wait_until(lambda: exit_code_of(engine, session) == 4, "the exec's exit code is known")
    wait_until(lambda: not engine.inspect("hungry")["State"]["Running"], "hungry has ended")
    state = engine.inspect("hungry")["State"]
    assert (state["ExitCode"], state["OOMKilled"]) == (137, True)
    lines = engine.cli("logs", "ticking").stdout.splitlines()
    assert lines == [f"tick {n}" for n in range(len(lines))], "not a line is missing"

    names = ("well", "ill", "ticking", "paused", "hungry")
    engine.cli("rm", "-f", *names)
    assert remains.of(engine, isolation) == []


def test_what_was_cut_short_is_undone_or_finished(
    engine: EngineUnderTest, isolation: Isolation
) -> None:
    """The moments are made in the records, because a test cannot hit them: a creation before its
    volume, a removal before its volumes went, a container of `run --rm` before its start, a stop
    before the container ended."""
    engine.cli("pull", "-q", "busybox")
    ids = {}
    for name, options in (
        ("unfinished", ["-v", "/anonymous"]),
        ("leaving", ["-v", "/anonymous"]),
        ("abandoned", ["--rm", "-v", "/anonymous"]),
        ("kept", ["-v", "/anonymous"]),
    ):
        words = ["create", "--name", name, *options, "busybox", "sleep", "600"]
        ids[name] = engine.cli(*words).stdout.strip()
    run(
        engine, "stopping", "--stop-signal", "URG", "--stop-timeout", "1", "busybox", "sleep", "600"
    )
    engine.kill9()
    with open_database(engine.directory / "data/state.db") as database:
        records = database.containers
        unfinished, leaving = (records.named(name) for name in ("unfinished", "leaving"))
        stopping = records.named("stopping")
        assert unfinished is not None
        assert leaving is not None
        assert stopping is not None
        database.volumes.delete(unfinished.mounts[0].source)
        shutil.rmtree(engine.directory / "data/volumes" / unfinished.mounts[0].source)
        state = replace(leaving.state, status="removing", volumes_too=True)
        records.put(replace(leaving, state=state))
        records.put(replace(stopping, state=replace(stopping.state, stopped_by_user=True)))

    engine.cli("ps")
    wait_until(lambda: not engine.inspect("stopping")["State"]["Running"], "the stop goes on")
    assert sorted(c["Names"][0] for c in engine.containers()) == ["/kept", "/stopping"]
    volumes = {v["Name"] for v in engine.request("GET", "/volumes")[1]["Volumes"]}
    assert volumes == {m["Name"] for m in engine.inspect("kept")["Mounts"]}
    engine.cli("rm", "-v", "kept", "stopping")
    assert remains.of(engine, isolation) == []


def test_a_restart_policy_counts_on_over_engines(
    engine: EngineUnderTest, isolation: Isolation
) -> None:
    engine.cli("pull", "-q", "busybox")
    run(engine, "failing", "--restart", "on-failure:3", "busybox", "sh", "-c", "sleep 0.2; exit 9")
    seen = 0
    while seen < 2:
        wait_until(lambda n=seen: count(engine) > n or ended(engine), "it was started again")
        if ended(engine):
            break
        seen = count(engine)
        engine.kill9()
        engine.cli("ps")
        assert count(engine) >= seen
    wait_until(lambda: ended(engine), "it is given up", within_s=30)
    found = engine.inspect("failing")
    assert (found["RestartCount"], found["State"]["ExitCode"]) == (3, 9)
    engine.cli("rm", "failing")
    assert remains.of(engine, isolation) == []


def test_who_is_attached_when_the_engine_dies_goes_on_with_the_next_one(
    engine: EngineUnderTest, isolation: Isolation
) -> None:
    engine.cli("pull", "-q", "busybox")
    run(engine, "ticking", "busybox", "sh", "-c", TICKING)
    commands = (
        ("logs", "-f", "ticking"),
        ("attach", "--no-stdin", "ticking"),
        ("exec", "ticking", "sh", "-c", TICKING),
        ("run", "--rm", "--name", "other", "busybox", "sh", "-c", TICKING),
    )
    with ExitStack() as stack:
        attached = [stack.enter_context(following(engine, *words)) for words in commands]
        for process in attached:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"tick")
        engine.kill9()
        wait_until(engine.answers, "one of them started the next engine")
        now = int(engine.cli("logs", "--tail", "1", "ticking").stdout.split()[1])
        for process, words in zip(attached, commands, strict=True):
            assert process.stdout is not None
            while not (line := process.stdout.readline()).startswith(b"tick"):
                assert line, f"{words[0]} goes on"
            if words[0] in ("logs", "attach"):
                while int(line.split()[1]) < now:
                    line = process.stdout.readline()
        engine.cli("rm", "-f", "ticking", "other")
        for process in attached:
            assert process.wait(timeout=20) is not None
    assert remains.of(engine, isolation) == []


@contextmanager
def following(engine: EngineUnderTest, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        engine.argv(*words),
        env=engine.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run(engine: EngineUnderTest, name: str, *words: str) -> None:
    engine.cli("run", "-d", "--name", name, *words)


def health_of(engine: EngineUnderTest, name: str) -> str:
    return str(engine.inspect(name)["State"]["Health"]["Status"])


def count(engine: EngineUnderTest) -> int:
    return int(engine.inspect("failing")["RestartCount"])


def ended(engine: EngineUnderTest) -> bool:
    return bool(engine.inspect("failing")["State"]["Status"] == "exited")


def exec_of(engine: EngineUnderTest, name: str, script: str) -> str:
    body = {"Cmd": ["sh", "-c", script]}
    _, made = engine.request("POST", f"/containers/{name}/exec", body)
    status, answer = engine.request("POST", f"/exec/{made['Id']}/start", {"Detach": True})
    assert status == 200, answer
    return str(made["Id"])


def exit_code_of(engine: EngineUnderTest, session: str) -> Any:
    status, found = engine.request("GET", f"/exec/{session}/json")
    assert status == 200, found
    return found["ExitCode"]
