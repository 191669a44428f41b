"""What must hold of an engine at any quiet moment, whatever happened to it before."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.engine import EngineUnderTest
from tests.support.isolation import Isolation, descendants
from tests.support.leaks import CGROUPS

DEADLINE_S = 8.0
_LIVE = ("running", "paused")
_ID = re.compile(r"[0-9a-f]{64}")


def broken(engine: EngineUnderTest, isolation: Isolation) -> list[str]:
    """What does not hold, as lines; waits a little for what the engine has just begun."""
    deadline = time.monotonic() + DEADLINE_S
    while lines := list(_broken(engine, isolation)):
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return lines


def _broken(engine: EngineUnderTest, isolation: Isolation) -> Iterator[str]:
    containers = [engine.inspect(c["Id"]) for c in engine.containers()]
    known = {c["Id"] for c in containers}
    live = {c["Id"] for c in containers if c["State"]["Status"] in _LIVE}
    for container in containers:
        yield from _of_container(container)
    for kind, found in (
        ("cgroup", _cgroups(engine)),
        ("mount", _mounts(engine)),
        ("run-time directory", _names(engine.directory / "run/containers")),
        ("conmon", _monitors(engine, isolation)),
    ):
        yield from (f"{kind} of {i[:12]}, which does not run" for i in sorted(found - live))
        # Mounts of those that an earlier engine started are in that one's namespace.
        if kind != "mount":
            yield from (f"no {kind} of {i[:12]}, which runs" for i in sorted(live - found))
    for identifier in sorted(_names(engine.directory / "data/containers") - known):
        yield f"files of {identifier[:12]}, which does not exist"
    yield from _volumes(engine, containers)
    yield from _interfaces([c for c in containers if c["Id"] in live])


def _of_container(container: dict[str, Any]) -> Iterator[str]:
    name, state = container["Name"], container["State"]
    if state["Status"] in _LIVE:
        try:
            words = Path(f"/proc/{state['Pid']}/cgroup").read_text()
        except OSError:
            words = ""
        if container["Id"] not in words:
            yield f"{name} is {state['Status']}, but {state['Pid']} is not its process"
    elif state["Pid"]:
        yield f"{name} is {state['Status']} and has a pid"
    elif state["Status"] in ("removing", "dead"):
        yield f"{name} is {state['Status']}"
    elif container["HostConfig"]["AutoRemove"]:
        yield f"{name} was to go when it ended, and is {state['Status']}"


def _volumes(engine: EngineUnderTest, containers: list[dict[str, Any]]) -> Iterator[str]:
    used = {m.get("Name") for c in containers for m in c["Mounts"] if m["Type"] == "volume"}
    there = {v["Name"] for v in engine.request("GET", "/volumes")[1]["Volumes"] or []}
    yield from (f"anonymous volume {v[:12]} of nobody" for v in there - used if _ID.fullmatch(v))
    yield from (f"no volume {v}, which is used" for v in used - there)
    files = _names(engine.directory / "data/volumes")
    yield from (f"files of volume {v[:12]}, which does not exist" for v in files - there)


def _interfaces(live: list[dict[str, Any]]) -> Iterator[str]:
    wanted = sum(len(c["NetworkSettings"]["Networks"]) for c in live)
    names = [name for _, name in socket.if_nameindex() if name.startswith(("veth", "psv"))]
    if len(names) != wanted:
        yield f"{len(names)} interfaces for {wanted} attachments: {' '.join(names)}"


def _names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} if directory.is_dir() else set()


def _cgroups(engine: EngineUnderTest) -> set[str]:
    name = engine.cgroup_parent
    parents = [*CGROUPS.glob(name), *CGROUPS.glob(f"*/{name}")]
    return {p.name for parent in parents for p in parent.iterdir() if p.is_dir()}


def _mounts(engine: EngineUnderTest) -> set[str]:
    text = Path(f"/proc/{engine.pid}/mountinfo").read_text()
    points = (line.split(" ")[4] for line in text.splitlines())
    return {i for p in points if p.startswith(f"{engine.directory}/") for i in _ID.findall(p)}


def _monitors(engine: EngineUnderTest, isolation: Isolation) -> set[str]:
    found = set()
    for pid in descendants(isolation.reaper) - isolation.keep - {engine.pid, os.getpid()}:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"conmon") and str(engine.directory).encode() in b" ".join(words):
            found |= {i for word in words for i in _ID.findall(word.decode(errors="replace"))}
    return found
