"""The control groups of containers: which layout the machine has, and their removal."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

Layout = Literal["v1", "v2", "hybrid"]

CGROUPS = Path("/sys/fs/cgroup")


def layout(mountinfo: str | None = None) -> Layout:
    """How this process sees /sys/fs/cgroup: all v2, all v1, or v1 with a v2 tree beside it.

    Source: cgroups(7); proc_pid_mountinfo(5).
    """
    text = Path("/proc/self/mountinfo").read_text() if mountinfo is None else mountinfo
    kinds: dict[str, str] = {}
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        kinds[before.split()[4]] = after.split()[0]  # a later mount covers an earlier one
    if kinds.get(str(CGROUPS)) == "cgroup2":
        return "v2"
    return "hybrid" if kinds.get(str(CGROUPS / "unified")) == "cgroup2" else "v1"


def cgroup_directories(path: str) -> Iterator[Path]:
    """The directories of one cgroup: one under v2, one per hierarchy under v1."""
    inside = path.strip("/")
    if (CGROUPS / "cgroup.controllers").exists():
        yield CGROUPS / inside
        return
    with suppress(FileNotFoundError):
        for hierarchy in sorted(CGROUPS.iterdir()):
            if hierarchy.is_dir() and not hierarchy.is_symlink():
                yield hierarchy / inside


def remove_cgroup(path: str) -> bool:
    """Remove a cgroup and those below it; False when a process still holds one of them.

    One that is gone already is fine.
    """
    left = [directory for directory in cgroup_directories(path) if not _removed(directory)]
    return not left


def _removed(top: Path) -> bool:
    gone = True
    for directory, _, files in os.walk(top, topdown=False):
        try:
            Path(directory).rmdir()
        except FileNotFoundError:
            pass
        except OSError as error:
            # A held cgroup is busy. One with ordinary files in it is none: crun makes those in
            # the directory that hides the unified hierarchy.
            if error.errno != errno.ENOTEMPTY:
                gone = False
                continue
            for file in files:
                Path(directory, file).unlink(missing_ok=True)
            Path(directory).rmdir()
    return gone


def processes(path: str) -> set[int]:
    """The pids in a cgroup and below it, of every hierarchy."""
    return set().union(*(processes_below(d) for d in cgroup_directories(path)))


def processes_below(directory: Path) -> set[int]:
    """The pids in the cgroup at `directory` and below it."""
    pids: set[int] = set()
    for below, _, files in os.walk(directory):
        if "cgroup.procs" in files:
            with suppress(OSError):
                pids |= {int(line) for line in Path(below, "cgroup.procs").read_text().split()}
    return pids
