"""A container's first process, which is conmon's child and not ours: known, watched, signalled.

A pid alone may be another process's by now; with its start time it names one process for ever.
"""

from __future__ import annotations

import os
import signal as signals
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
from asyncinotify import Mask

from orchestrator.aio.watching import watched
from orchestrator.runtime.paths import Bundle


def pid_start_time(pid: int) -> int:
    """When `pid` began, in clock ticks since boot; 0 when there is no such process.

    Source: proc_pid_stat(5), field 22.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    # The second field is the program's name in parentheses and may hold anything, so count from
    # the last one.
    return int(stat.rpartition(")")[2].split()[19])


def alive(pid: int, started: int) -> bool:
    """Whether that very process still runs (a zombie does not)."""
    if pid <= 0 or not started or pid_start_time(pid) != started:
        return False
    with suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        return stat.rpartition(")")[2].split()[0] not in ("Z", "X")
    return False


async def wait_exit(pid: int, pid_started: int) -> None:
    """Return when that process has ended; at once when it already has, or when the pid was reused.

    Source: pidfd_open(2).
    """
    with _pidfd(pid, pid_started) as fd:
        if fd is not None:
            await anyio.wait_readable(fd)


def send_signal(pid: int, pid_started: int, signal: int) -> bool:
    """Signal exactly that process; False when it is gone.  Source: pidfd_send_signal(2)."""
    with _pidfd(pid, pid_started) as fd:
        if fd is None:
            return False
        try:
            signals.pidfd_send_signal(fd, signal)
        except ProcessLookupError:
            return False
        return True


@contextmanager
def _pidfd(pid: int, started: int) -> Iterator[int | None]:
    try:
        fd = os.pidfd_open(pid)
    except (ProcessLookupError, OSError):
        yield None
        return
    try:
        # Opened first, compared second: the descriptor cannot change its process afterwards.
        yield fd if pid_start_time(pid) == started else None
    finally:
        os.close(fd)


async def read_exit_code(exit_dir: Path, container_id: str, timeout_s: float) -> int | None:
    """The exit code that conmon recorded, waiting for it at most `timeout_s`.

    None when none came: conmon was killed, or the machine went down. conmon writes the file under
    another name and renames it, so it is never half there.
    """
    path = exit_dir / container_id
    code = _exit_code(path)
    if code is not None or not exit_dir.is_dir():
        return code
    with watched(exit_dir, Mask.MOVED_TO | Mask.CLOSE_WRITE) as bell:
        with anyio.move_on_after(timeout_s):
            while (code := _exit_code(path)) is None:
                await bell.wait()
    return code


async def wait_monitor(bundle: Bundle, timeout_s: float = 5.0) -> bool:
    """Whether the bundle's conmon has ended, waiting for that at most `timeout_s`.

    It ends soon after its container; until then it may still write into the bundle.
    """
    try:
        pid = int(bundle.conmon_pid_file.read_text())
        # Its start time is not recorded: another process may have its number by now.
        # An empty command line is a process that is ending: its descriptors may still be open.
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if command and b"conmon" not in command:
            return True
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return True
    with anyio.move_on_after(timeout_s):
        await wait_exit(pid, pid_start_time(pid))
        return True
    return False


def was_oom_killed(bundle: Bundle) -> bool:
    """Whether conmon saw the kernel kill in this container for want of memory."""
    return (bundle.persist_dir / "oom").exists() or (bundle.path / "oom").exists()


def _exit_code(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
