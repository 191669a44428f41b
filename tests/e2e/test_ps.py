"""`ps`: columns, filters, formats."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from tests.support.engine import EngineUnderTest

pytestmark = pytest.mark.usefixtures("hub")


def listed(engine: EngineUnderTest, key: str, value: str) -> list[str]:
    """The same by the API, which is quicker for many."""
    filters = quote(json.dumps({key: [value]}))
    status, found = engine.request("GET", f"/containers/json?all=1&filters={filters}")
    assert status == 200, found
    return sorted(each["Names"][0].removeprefix("/") for each in found)


def names(engine: EngineUnderTest, *args: str) -> list[str]:
    return sorted(engine.cli("ps", "-a", "--format", "{{.Names}}", *args).stdout.split())


def test_ps_filters_and_formats_as_docker_does(engine: EngineUnderTest) -> None:
    engine.cli("volume", "create", "data")
    engine.cli(
        "run", "-d", "--name", "one", "-p", "127.0.0.1:8080:80", "-l", "tier=web", "-l", "x",
        "-v", "data:/data", "busybox", "sleep", "1000",
    )  # fmt: skip
    engine.cli("create", "--name", "two", "--expose", "9000-9002", "busybox", "sleep", "1")
    engine.run("run", "--name", "three", "-l", "tier=db", "busybox", "sh", "-c", "exit 3")
    inspected = {name: engine.inspect(name) for name in ("one", "two", "three")}

    assert names(engine) == ["one", "three", "two"]
    assert engine.cli("ps", "--format", "{{.Names}}").stdout == "one\n"
    expected = {
        "status=running": ["one"],
        "status=created": ["two"],
        "exited=3": ["three"],
        "exited=0": [],
        "name=^/o": ["one"],
        "name=t": ["three", "two"],
        f"id={inspected['two']['Id'][:12]}": ["two"],
        "label=tier": ["one", "three"],
        "label=tier=web": ["one"],
        "label!=tier": ["two"],
        "ancestor=busybox": ["one", "three", "two"],
        "ancestor=no-such-image": [],
        "before=three": ["one", "two"],
        "since=one": ["three", "two"],
        "volume=data": ["one"],
        "volume=/data": ["one"],
        "network=bridge": ["one", "three", "two"],
        "publish=8080": ["one"],
        "publish=80/tcp": [],
        "expose=9001/tcp": ["two"],
        "expose=8000-9000": ["two"],
        "health=none": ["one", "three", "two"],
        "health=healthy": [],
        "is-task=false": ["one", "three", "two"],
        "is-task=true": [],
    }
    found = {wanted: listed(engine, *wanted.split("=", 1)) for wanted in expected}
    assert found == expected
    assert names(engine, "-f", "label=tier", "-f", "label=x") == ["one"]
    assert names(engine, "-f", "name=one", "-f", "name=two") == ["one", "two"]
    assert names(engine, "-n", "1") == ["three"]
    refused = engine.run("ps", "-f", "nonsense=1")
    assert (refused.exit_code, refused.stderr.splitlines()[0]) == (
        1,
        "error: invalid filter 'nonsense'",
    )
    assert engine.run("ps", "-f", "status=nonsense").exit_code == 1

    rows = engine.cli("ps", "-a", "--no-trunc", "--format", "json").stdout.splitlines()
    shown = {row["Names"]: row for row in map(json.loads, rows)}
    one = shown["one"]
    assert one["ID"] == inspected["one"]["Id"]
    assert (one["Image"], one["Command"], one["State"]) == ("busybox", '"sleep 1000"', "running")
    assert one["Ports"] == "127.0.0.1:8080->80/tcp"
    assert (one["Labels"], one["Mounts"], one["LocalVolumes"]) == ("tier=web,x=", "data", "1")
    assert one["Networks"] == "bridge"
    assert shown["three"]["Status"].startswith("Exited (3) ")
    assert shown["two"]["Status"] == "Created"
    table = engine.cli("ps", "-a", "--format", 'table {{.Names}}\\t{{.Label "tier"}}').stdout
    assert table.splitlines() == ["NAMES     tier", "three     db", "two", "one       web"]
    assert engine.cli("ps", "-aq").stdout.split() == [
        inspected[name]["Id"][:12] for name in ("three", "two", "one")
    ]
    wrong = engine.run("ps", "--format", "{{.Nope}}")
    assert wrong.exit_code == 1
    assert "can't evaluate field Nope" in wrong.stderr
    assert engine.run("ps", "--format", "{{.ID").exit_code == 1

    engine.cli("exec", "one", "sh", "-c", "head -c 5000 /dev/zero > /five")
    assert engine.cli("ps", "-s", "--format", "{{.Size}}").stdout.startswith("5kB (virtual ")
    engine.cli("rm", "-f", "one", "two", "three")
