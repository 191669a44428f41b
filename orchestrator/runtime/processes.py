"""Processes as `ps -ef` shows them, read from /proc: for machines without a ps of their own.

Source: proc_pid_stat(5), proc_pid_cmdline(5); ps(1), "STANDARD FORMAT SPECIFIERS".
"""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

TITLES = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
_DAY_S = 86400
# The major number of pseudo-terminals, and of the eight that follow it.
_PTS = range(136, 144)


def list_processes(pids: Iterable[int]) -> list[list[str]]:
    """A row for each process that still is there, by its id (blocking)."""
    now = time.time()
    booted_at = now - float(Path("/proc/uptime").read_text().split()[0])
    rows = []
    for pid in sorted(pids):
        with suppress(OSError, IndexError, ValueError):
            rows.append(_row(pid, booted_at, now))
    return rows


def _row(pid: int, booted_at: float, now: float) -> list[str]:
    place = Path(f"/proc/{pid}")
    before, _, after = place.joinpath("stat").read_text(errors="replace").rpartition(")")
    # From the third field on: state, ppid, pgrp, session, tty_nr, …
    fields = after.split()
    ticks = os.sysconf("SC_CLK_TCK")
    spent_s = (int(fields[11]) + int(fields[12])) / ticks
    began_at = booted_at + int(fields[19]) / ticks
    arguments = place.joinpath("cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    command = b" ".join(arguments).decode(errors="replace")
    return [
        _user(place.stat().st_uid),
        str(pid),
        fields[1],
        str(min(99, int(100 * spent_s / max(now - began_at, 1)))),
        _began(began_at, now),
        _terminal(int(fields[4])),
        time.strftime("%H:%M:%S", time.gmtime(spent_s)),
        command or f"[{before.partition('(')[2]}]",
    ]


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _began(began_at: float, now: float) -> str:
    form = "%H:%M" if now - began_at < _DAY_S else "%b%d"
    return time.strftime(form, time.localtime(began_at))


def _terminal(device: int) -> str:
    major, minor = os.major(device), os.minor(device)
    return f"pts/{(major - _PTS.start) * 256 + minor}" if major in _PTS else "?"
