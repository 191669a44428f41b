"""The commands about pystack itself."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from tests.support.engine import ROOT, EngineUnderTest

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_version_tells_the_command_lines_and_the_engines(engine: EngineUnderTest) -> None:
    assert engine.cli("version").stdout.count(VERSION) >= 2


def test_info_tells_the_runtime_and_why_the_cgroups_the_storage_and_the_paths(
    engine: EngineUnderTest,
) -> None:
    text = engine.cli("info").stdout
    for word in ("crun", "overlay", str(engine.directory / "data"), str(engine.socket)):
        assert word in text, text
    assert any(layout in text for layout in ("v1", "v2", "hybrid"))


def test_the_engine_is_started_stopped_and_asked(place: EngineUnderTest) -> None:
    stopped = place.run("engine", "status")
    assert stopped.exit_code != 0
    assert "Traceback" not in stopped.output
    assert place.pid == 0, "asking does not start it"

    place.cli("engine", "start")
    pid = place.pid
    assert pid
    place.cli("engine", "start")
    assert place.pid == pid, "starting twice is starting once"
    assert "running" in place.cli("engine", "status").stdout
    assert place.cli("engine", "logs").stdout

    place.cli("engine", "stop")
    assert place.pid == 0
    assert place.run("engine", "status").exit_code != 0


def test_the_log_file_has_one_json_object_per_line(engine: EngineUnderTest) -> None:
    lines = Path(engine.log_file).read_text().splitlines()
    assert lines
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_systemd_units_are_printed(place: EngineUnderTest) -> None:
    text = place.cli("engine", "units").stdout
    assert "[Socket]" in text
    assert "[Service]" in text
