"""What a kernel test must not leave behind, seen from outside of what is tested."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.isolation import Isolation, descendants

CGROUPS = Path("/sys/fs/cgroup")
CGROUP_PREFIX = "pystack-test-"
SETTLE_S = 5.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that can leak, each as a line for a person to read."""

    processes: frozenset[str]
    mounts: frozenset[str]
    interfaces: frozenset[str]
    tables: frozenset[str]
    cgroups: frozenset[str]
    files: frozenset[str]

    def new_since(self, before: Snapshot) -> list[str]:
        """What is here and was not, by kind."""
        return [
            f"{kind.removesuffix('s')}: {line}"
            for kind in self.__slots__
            for line in sorted(getattr(self, kind) - getattr(before, kind))
        ]


# What a test's leaks are told from. A fixture that starts what outlives the test takes it anew.
BEFORE = pytest.StashKey[Snapshot]()


def take(isolation: Isolation) -> Snapshot:
    """What there is now, in this process's namespaces and below its reaper."""
    return Snapshot(
        processes=frozenset(_processes(isolation)),
        mounts=frozenset(_mounts()),
        interfaces=frozenset(name for _, name in socket.if_nameindex()),
        tables=frozenset(_tables()),
        cgroups=frozenset(_cgroups()),
        files=frozenset(_files()),
    )


def wait_for_none(isolation: Isolation, before: Snapshot) -> list[str]:
    """What is still left of what appeared since `before`, after it had time to go."""
    gc.collect()
    deadline = time.monotonic() + SETTLE_S
    while left := take(isolation).new_since(before):
        if time.monotonic() > deadline:
            return left
        time.sleep(0.05)
    _remove_parents()
    return []


def sweep(isolation: Isolation, before: Snapshot) -> None:
    """Removes what appeared since `before`, so that the next test does not stumble over it."""
    now = take(isolation)
    for line in now.processes - before.processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(line.split()[0]), signal.SIGKILL)
    for line in sorted(now.mounts - before.mounts, reverse=True):
        subprocess.run(["umount", "-l", line.split()[0]], capture_output=True, check=False)
    for name in now.interfaces - before.interfaces:
        subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)
    for line in now.tables - before.tables:
        subprocess.run(["nft", "delete", *line.split()], capture_output=True, check=False)
    deadline = time.monotonic() + SETTLE_S
    while (left := _cgroups()) and time.monotonic() < deadline:
        for path in reversed(left):
            with contextlib.suppress(OSError):
                for pid in Path(path, "cgroup.procs").read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
                Path(path).rmdir()
        time.sleep(0.02)
    _remove_parents()


def _processes(isolation: Isolation) -> list[str]:
    lines = []
    for pid in descendants(isolation.reaper) - isolation.keep:
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            if words:  # a zombie has none; whoever started it, or the reaper, will reap it
                lines.append(f"{pid} {words[:200]}")
    return lines


def _mounts() -> list[str]:
    text = Path("/proc/self/mountinfo").read_text()
    return [line.split(" ", 5)[4] + " " + line.rpartition(" - ")[2] for line in text.splitlines()]


def _tables() -> list[str]:
    listed = subprocess.run(
        ["nft", "list", "tables"], capture_output=True, text=True, check=True, timeout=10
    )
    return listed.stdout.split("\n")[:-1]


def _cgroups() -> list[str]:
    """Directories below a test's parent cgroup, in every hierarchy of v1, v2 or both."""
    found = []
    for parent in _parents():
        for top, names, _ in os.walk(parent):
            found += [str(Path(top, name)) for name in names]
    return found


def _parents() -> list[Path]:
    mine = f"{CGROUP_PREFIX}{os.getpid()}-*"
    return [*CGROUPS.glob(mine), *CGROUPS.glob(f"*/{mine}")]


def _remove_parents() -> None:
    for parent in _parents():
        with contextlib.suppress(OSError):
            parent.rmdir()


def _files() -> list[str]:
    lines = []
    for fd in Path("/proc/self/fd").iterdir():
        # pytest's capture swaps the first three; the directory being listed is open as well
        with contextlib.suppress(OSError):
            if fd.name not in ("0", "1", "2") and not (target := str(fd.readlink())).endswith(
                "/fd"
            ):
                lines.append(f"{fd.name} {target}")
    return lines
