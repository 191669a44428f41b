"""`events`: Docker's names for what happens, filters, and a history that outlives engines."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from tests.support.engine import EngineUnderTest
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("hub")


def told(engine: EngineUnderTest, *args: str) -> list[str]:
    """What happened until now, as TYPE ACTION NAME."""
    form = "{{.Type}} {{.Action}} {{with .Actor.Attributes.name}}{{.}}{{else}}-{{end}}"
    said = engine.cli("events", "--since", "10m", "--until", "0s", "--format", form, *args)
    return said.stdout.splitlines()


def test_a_container_s_life_is_told_in_dockers_words_and_kept(engine: EngineUnderTest) -> None:
    engine.cli("volume", "create", "data")
    engine.cli("run", "-d", "--name", "web", "-l", "tier=x", "-v", "data:/d", "busybox",
               "sleep", "1000")  # fmt: skip
    engine.cli("pause", "web")
    engine.cli("unpause", "web")
    engine.cli("rename", "web", "www")
    engine.cli("update", "--restart", "always", "www")
    engine.cli("exec", "www", "true")
    engine.cli("restart", "-t", "0", "www")
    engine.cli("stop", "-t", "0", "www")
    engine.cli("start", "www")
    engine.cli("kill", "-s", "USR1", "www")
    engine.kill9()
    engine.start()
    engine.cli("rm", "-f", "www")
    engine.cli("volume", "rm", "data")

    actions = [line.split()[1] for line in told(engine, "-f", "type=container")]
    plain = [action for action in actions if not action.startswith("exec_")]
    assert plain == [
        "create", "start", "pause", "unpause", "rename", "update",
        "kill", "kill", "die", "stop", "start", "restart",
        "kill", "kill", "die", "stop", "start", "kill", "kill", "die", "destroy",
    ]  # fmt: skip
    assert [a for a in actions if a.startswith("exec_")] == [
        "exec_create:", "exec_start:", "exec_die",
    ]  # fmt: skip
    mounts = [line.split()[1] for line in told(engine, "-f", "type=volume")]
    assert mounts == [
        "create", "mount", "unmount", "mount", "unmount", "mount", "unmount", "destroy",
    ]  # fmt: skip
    lans = [line.split()[1] for line in told(engine, "-f", "type=network")]
    assert lans == ["create", *["connect", "disconnect"] * 3]
    assert "image pull busybox:latest" in told(engine, "-f", "type=image")


def test_events_are_filtered_by_every_noun(engine: EngineUnderTest) -> None:
    for name, label in (("one", "tier=a"), ("two", "tier=b")):
        engine.run("run", "--rm", "--name", name, "-l", label, "busybox", "true")
    assert told(engine, "-f", "container=one", "-f", "event=die") == ["container die one"]
    assert told(engine, "-f", "event=die") == ["container die one", "container die two"]
    assert told(engine, "-f", "event=die", "-f", "label=tier=b") == ["container die two"]
    assert told(engine, "-f", "event=die", "-f", "event=start", "-f", "container=two") == [
        "container start two", "container die two",
    ]  # fmt: skip
    assert len(told(engine, "-f", "image=busybox", "-f", "event=create")) == 2
    assert told(engine, "-f", "image=other", "-f", "event=create") == []
    assert set(told(engine, "-f", "network=bridge", "-f", "event=connect")) == {
        "network connect bridge"
    }
    assert told(engine, "-f", "scope=swarm") == []
    refused = engine.run("events", "--until", "0s", "-f", "nonsense=1")
    assert (refused.exit_code, "invalid filter 'nonsense'" in refused.stderr) == (1, True)


def test_events_are_told_as_they_happen_and_in_the_form_asked_for(
    engine: EngineUnderTest,
) -> None:
    with subprocess.Popen(
        engine.argv("events", "--format", "json", "-f", "type=volume"),
        env=engine.env, stdout=subprocess.PIPE, text=True,
    ) as watching:  # fmt: skip
        assert watching.stdout is not None
        wait_until(lambda: engine.request("GET", "/info")[1]["NEventsListener"] == 1, "it listens")
        engine.cli("volume", "create", "data")
        event = json.loads(watching.stdout.readline())
        engine.cli("volume", "rm", "data")
        assert json.loads(watching.stdout.readline())["Action"] == "destroy"
        watching.terminate()
    assert (event["Type"], event["Action"], event["scope"]) == ("volume", "create", "local")
    assert event["Actor"] == {"ID": "data", "Attributes": {"driver": "local"}}
    assert abs(event["time"] - time.time()) < 30
    assert event["timeNano"] // 10**9 == event["time"]
    wait_until(lambda: engine.request("GET", "/info")[1]["NEventsListener"] == 0, "it is let go")
    line = engine.cli("events", "--since", "1m", "--until", "0s", "-f", "volume=data").stdout
    assert line.splitlines()[0].split(" ", 1)[1] == "volume create data (driver=local)"
    began = time.monotonic()
    engine.cli("events", "--until", f"{time.time() + 1:.3f}")
    assert 0.5 < time.monotonic() - began < 10
