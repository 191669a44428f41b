"""Ending by hand what does not end when it is told to: a conmon or a runtime that hangs, with
whatever it began, and all that is in a cgroup.

Blocking, and bounded: a process in the kernel's hands (state D) is left after some seconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from orchestrator.runtime.cgroups import cgroup_directories, processes
from orchestrator.runtime.paths import Bundle
from orchestrator.runtime.process import send_signal

_PATIENCE_S = 3.0
_PAUSE_S = 0.01
_SIGKILL = 9


def end_monitor(bundle: Bundle) -> bool:
    """Whether no conmon of the bundle is left, nor anything that one began: the runtime, and a
    container that was not finished."""
    return _end_families({pid for pid in _candidates(bundle) if _watches(pid, bundle)})


def end_cgroup(path: str) -> bool:
    """Whether no process is left in the cgroup or below it, frozen ones thawed and killed."""
    deadline = time.monotonic() + _PATIENCE_S
    while left := {pid for pid in processes(path) if _is_in(pid, path)}:
        if time.monotonic() > deadline:
            return False
        for pid in left:
            _kill(pid)
        _thaw(path)
        time.sleep(_PAUSE_S)
    return True


def end_calls(roots: Path) -> bool:
    """Whether no call of a runtime by an engine is left, whose records are below `roots` (a path's
    beginning): a killed engine's calls go on, and may hang."""
    calls = {pid for pid in _all() if (stat := _stat(pid)) and stat[3] == pid}
    return _end_families({pid for pid in calls if _is_call(pid, os.fsencode(roots))})


def _is_call(pid: int, roots: bytes) -> bool:
    words = _words(pid)
    # conmon's calls are in its session, and are ended with it.
    if b"--runtime-arg" in words or b"--root" not in words[:-1]:
        return False
    return words[words.index(b"--root") + 1].startswith(roots)


def _is_in(pid: int, path: str) -> bool:
    """Whether the living process is in the cgroup: what stands for a hierarchy that is hidden has
    ordinary files, with numbers that are other processes' by now."""
    try:
        return path.strip("/") in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False


def _candidates(bundle: Bundle) -> Iterable[int]:
    try:
        return [int(bundle.conmon_pid_file.read_text())]
    except (OSError, ValueError):
        return _all()


def _watches(pid: int, bundle: Bundle) -> bool:
    """Whether the process is a conmon, or a runtime called by one, of this very bundle."""
    words = _words(pid)
    return b"--bundle" in words and os.fsencode(bundle.path) in words


def _words(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _end_families(roots: set[int]) -> bool:
    """Whether nothing is left of the processes, of the sessions that they lead, or below them."""
    known = set(roots)
    deadline = time.monotonic() + _PATIENCE_S
    while known:
        # What is begun while others are killed is found in the next round: the session stays.
        living = _families(known)
        if not living:
            return True
        if time.monotonic() > deadline:
            return False
        known |= set(living)
        for pid, started in living.items():
            send_signal(pid, started, _SIGKILL)
        time.sleep(_PAUSE_S)
    return True


def _families(known: set[int]) -> dict[int, int]:
    """The living processes among `known`, in their sessions and below, with their start times."""
    table = {pid: stat for pid in _all() if (stat := _stat(pid)) is not None}
    found = set(known)
    while True:
        more = {
            pid
            for pid, (_, parent, group, session, _) in table.items()
            if pid not in found and not found.isdisjoint((parent, group, session))
        }
        if not more:
            break
        found |= more
    return {pid: table[pid][4] for pid in found if pid in table and table[pid][0] not in "ZX"}


def _stat(pid: int) -> tuple[str, int, int, int, int] | None:
    """State, parent, process group, session and start time.  Source: proc_pid_stat(5)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19])


def _all() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _kill(pid: int) -> None:
    if (stat := _stat(pid)) is not None:
        send_signal(pid, stat[4], _SIGKILL)


def _thaw(path: str) -> None:
    for directory in cgroup_directories(path):
        for name, word in (("cgroup.freeze", "0"), ("freezer.state", "THAWED")):
            with suppress(OSError):
                if (directory / name).exists():
                    (directory / name).write_text(word)
