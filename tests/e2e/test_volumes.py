"""`volume`: made, listed, inspected, removed, pruned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.engine import EngineUnderTest

pytestmark = pytest.mark.usefixtures("hub")


def test_volumes_have_dockers_commands_filters_and_formats(engine: EngineUnderTest) -> None:
    assert engine.cli("volume", "create", "data", "--label", "tier=a", "--label", "x").stdout == (
        "data\n"
    )
    engine.cli("volume", "create", "other")
    anonymous = engine.cli("volume", "create").stdout.strip()
    assert len(anonymous) == 64
    engine.cli("run", "--name", "user", "-v", "data:/data", "busybox", "touch", "/data/file")

    def names(*args: str) -> set[str]:
        return set(engine.cli("volume", "ls", "-q", *args).stdout.split())

    assert names() == {"data", "other", anonymous}
    assert names("-f", "dangling=true") == {"other", anonymous}
    assert names("-f", "dangling=false") == {"data"}
    assert names("-f", "label=tier") == names("-f", "label=tier=a") == {"data"}
    assert names("-f", "name=ot") == {"other"}
    assert names("-f", "driver=nfs") == set()
    assert engine.run("volume", "ls", "-f", "size=1").exit_code == 1
    table = engine.cli("volume", "ls", "-f", "name=data").stdout.splitlines()
    assert [line.split() for line in table] == [["DRIVER", "VOLUME", "NAME"], ["local", "data"]]
    form = 'table {{.Name}}\\t{{.Label "tier"}}'
    assert engine.cli(
        "volume", "list", "--format", form, "-f", "name=data"
    ).stdout.splitlines() == [
        "VOLUME NAME   tier",
        "data          a",
    ]
    [row] = map(json.loads, engine.cli("volume", "ls", "--format", "json", "-f", "name=data")
                .stdout.splitlines())  # fmt: skip
    assert (row["Labels"], row["Driver"], row["Size"]) == ("tier=a,x=", "local", "N/A")

    [found] = json.loads(engine.cli("volume", "inspect", "data").stdout)
    assert (found["Name"], found["Driver"], found["Scope"]) == ("data", "local", "local")
    assert (found["Labels"], found["Options"]) == ({"tier": "a", "x": ""}, None)
    assert (Path(found["Mountpoint"]) / "file").exists()
    missing = engine.run("volume", "inspect", "data", "nobody", "-f", "{{.Mountpoint}}")
    assert (missing.exit_code, missing.stdout) == (1, found["Mountpoint"] + "\n")
    assert "no such volume: nobody" in missing.stderr
    assert engine.cli("inspect", "--type", "volume", "-f", "{{.Name}}", "data").stdout == "data\n"

    used = engine.run("volume", "rm", "data", "other", "nobody")
    assert (used.exit_code, used.stdout) == (1, "other\n")
    assert "volume data is in use by container user" in used.stderr
    assert engine.cli("volume", "rm", "-f", "nobody").stdout == "nobody\n"
    assert engine.run("volume", "create", "not/a/name").exit_code == 1
    assert engine.run("volume", "create", "-d", "nfs", "far").exit_code == 1
    assert engine.run("volume", "create", "-o", "nonsense=1", "far").exit_code == 1
    update = engine.run("volume", "update", "data", "--availability", "drain")
    assert update.exit_code == 1
    engine.cli("rm", "-v", "user")
    assert names() == {"data", anonymous}


def test_a_volume_is_what_its_options_mount(engine: EngineUnderTest, tmp_path: Path) -> None:
    (tmp_path / "hello").write_text("hi")
    engine.cli("volume", "create", "bound", "-o", "type=none", "-o", f"device={tmp_path}",
               "-o", "o=bind")  # fmt: skip
    engine.cli("volume", "create", "fast", "-o", "type=tmpfs", "-o", "device=tmpfs",
               "-o", "o=size=1m,mode=1777")  # fmt: skip
    said = engine.cli("run", "--rm", "-v", "bound:/b", "-v", "fast:/f", "busybox", "sh", "-c",
                      "cat /b/hello; echo yes > /b/back; grep ' /f ' /proc/mounts")  # fmt: skip
    assert said.stdout.startswith("hi")
    assert "tmpfs" in said.stdout
    assert "size=1024k" in said.stdout
    assert (tmp_path / "back").read_text() == "yes\n"
    engine.cli("volume", "create", "far", "-o", "type=no-such-fs", "-o", "device=:/x")
    far = engine.run("run", "--rm", "-v", "far:/far", "busybox", "true")
    assert (far.exit_code, "this kernel has no file system no-such-fs" in far.stderr) == (125, True)
    engine.cli("volume", "rm", "bound", "fast", "far")
    assert (tmp_path / "hello").read_text() == "hi"


def test_prune_spares_what_is_used_and_what_has_a_name(engine: EngineUnderTest) -> None:
    engine.cli("volume", "create", "named", "--label", "keep")
    loose = engine.cli("volume", "create").stdout.strip()
    engine.cli("run", "--name", "user", "-v", "used:/u", "-v", "/anonymous", "busybox", "true")
    asked = engine.run("volume", "prune", stdin="n\n")
    assert asked.exit_code == 0
    assert asked.stdout.startswith(
        "WARNING! This will remove anonymous local volumes not used by at least one container.\n"
        "Are you sure you want to continue? [y/N] "
    )
    assert loose in engine.cli("volume", "ls").stdout
    said = engine.run("volume", "prune", stdin="y\n").stdout
    assert said.endswith(f"Deleted Volumes:\n{loose}\n\nTotal reclaimed space: 0B\n")
    assert engine.cli("volume", "prune", "-a", "-f", "--filter", "label!=keep").stdout == (
        "Total reclaimed space: 0B\n"
    )
    assert "named" in engine.cli("volume", "prune", "-af").stdout
    assert engine.cli("volume", "ls", "-qf", "name=used").stdout == "used\n"
    engine.cli("rm", "-v", "user")
    assert engine.cli("volume", "ls", "-q").stdout == "used\n"
