"""What an engine that has removed everything must not have kept, while it still runs."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from tests.support.engine import EngineUnderTest
from tests.support.isolation import Isolation, descendants
from tests.support.leaks import CGROUPS

DEADLINE_S = 5.0
DEFAULT_BRIDGE = "ps-default"


def of(engine: EngineUnderTest, isolation: Isolation) -> list[str]:
    """What is left of containers and networks, as lines; waits a little for the kernel to end
    its part. The engine, its default bridge and its table may stay: it runs."""
    deadline = time.monotonic() + DEADLINE_S
    while left := _left(engine, isolation):
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return left


def _left(engine: EngineUnderTest, isolation: Isolation) -> list[str]:
    lines = [f"record: container {c['Names']} {c['Status']}" for c in engine.containers()]
    for network in engine.request("GET", "/networks")[1]:
        if network["Name"] not in ("bridge", "host", "none"):
            lines.append(f"record: network {network['Name']}")
    for _, name in socket.if_nameindex():
        if name not in ("lo", "tap0", DEFAULT_BRIDGE):
            lines.append(f"interface: {name}")
    lines += [f"process: {line}" for line in _processes(engine, isolation)]
    lines += [f"cgroup: {path}" for path in _cgroups(engine)]
    lines += [f"mount: {line}" for line in _mounts(engine)]
    for kind in ("data", "run"):
        directory = engine.directory / kind / "containers"
        if directory.is_dir():
            lines += [f"directory: {path}" for path in directory.iterdir()]
    return lines


def _processes(engine: EngineUnderTest, isolation: Isolation) -> list[str]:
    """Whatever lives below the reaper with this engine's paths on its command line."""
    found = []
    for pid in descendants(isolation.reaper) - isolation.keep - {engine.pid}:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(engine.directory) in words:
            found.append(f"{pid} {words[:200]}")
    return found


def _cgroups(engine: EngineUnderTest) -> list[str]:
    name = engine.cgroup_parent
    return [
        os.path.join(top, below)  # noqa: PTH118  (a path as text, for the report)
        for parent in (*CGROUPS.glob(name), *CGROUPS.glob(f"*/{name}"))
        for top, names, _ in os.walk(parent)
        for below in names
    ]


def _mounts(engine: EngineUnderTest) -> list[str]:
    """Mounts below the engine's directories, as the engine sees them."""
    text = Path(f"/proc/{engine.pid}/mountinfo").read_text()
    points = [line.split(" ")[4] for line in text.splitlines()]
    return [point for point in points if point.startswith(f"{engine.directory}/")]
