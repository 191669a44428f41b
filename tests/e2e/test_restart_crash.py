"""A restart that a killed engine had begun is finished by the next one."""

from __future__ import annotations

import subprocess
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.engine import EngineUnderTest
from tests.support.waiting import wait_until

# Told to end, it says so, and takes its time.
SLOW = "trap 'echo asked; sleep 1; exit 0' TERM; while :; do sleep 0.1; done"
STACK = f"""\
name: demo
services:
  web:
    image: busybox
    command: ["sh", "-c", "{SLOW}"]
    configs: [{{source: app, target: /etc/app.conf}}]
configs:
  app:
    content: colour=${{COLOUR}}
    x-pystack: {{on_change: restart}}
"""


def test_a_restart_that_a_killed_engine_had_begun_is_finished(
    engine: EngineUnderTest, project: Path
) -> None:
    engine.cli("run", "-d", "--name", "alone", "busybox", "sh", "-c", SLOW)
    (project / "stack.yml").write_text(STACK)
    engine.cli("up", "-d", cwd=project, env={"COLOUR": "red"})
    before = {name: _state(engine, name)["StartedAt"] for name in ("alone", "demo-web-1")}
    blue = engine.env | {"COLOUR": "blue"}
    with (
        subprocess.Popen(engine.argv("restart", "alone"), env=blue) as restarting,
        subprocess.Popen(engine.argv("up", "-d"), cwd=project, env=blue) as updating,
    ):
        for name in before:
            wait_until(partial(_asked, engine, name), f"{name} was asked to end")
        engine.kill9()
        restarting.wait(10)
        updating.wait(10)
    engine.cli("ps")
    for name, started_at in before.items():
        wait_until(partial(_runs_anew, engine, name, started_at), f"{name} runs anew")
    assert engine.cli("exec", "demo-web-1", "cat", "/etc/app.conf").stdout == "colour=blue"
    engine.cli("rm", "-f", "alone")
    engine.cli("down", "-t", "0", cwd=project)


def _asked(engine: EngineUnderTest, name: str) -> bool:
    return "asked" in engine.cli("logs", name).stdout


def _runs_anew(engine: EngineUnderTest, name: str, started_at: str) -> bool:
    state = _state(engine, name)
    return bool(state["Running"]) and state["StartedAt"] != started_at


def _state(engine: EngineUnderTest, name: str) -> dict[str, Any]:
    state: dict[str, Any] = engine.inspect(name)["State"]
    return state
