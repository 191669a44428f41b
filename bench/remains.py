"""What a session leaves: its directory, its processes, its cgroups; and what an aborted one left.

A session's directory is locked while it runs. Whatever belongs to one that is not locked is
swept away before the next begins.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.places import MARK
from tests.support.isolation import descendants

_PARENT = Path("/var/lib")
_PREFIX = "pystack-bench-"
_LOCK = "lock"
_CGROUPS = Path("/sys/fs/cgroup")
_ENGINES = ("libpod_parent", "conmon", "buildah", "docker")
"""What they call their own, where they cannot be told."""


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    """A new directory on the disk that /var/lib is on, locked while the block lasts."""
    made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_PARENT))
    before = _cgroups()
    with (made / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield made
        finally:
            # Impatience would leave more behind.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            _end(made)
            shutil.rmtree(made, ignore_errors=True)
            _remove_cgroups(_cgroups(made.name) | (_cgroups() - before))


def sweep() -> None:
    """Removes what sessions that were killed have left."""
    for made in _PARENT.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), (made / _LOCK).open("r") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            _end(made)
        _remove_cgroups(_cgroups(made.name))
        shutil.rmtree(made, ignore_errors=True)


def _end(made: Path) -> None:
    """Kills every process of the session's contestants, and what they started."""
    ending = f"@{made}".encode()
    for _ in range(3):
        marked = [pid for pid in _pids() if _mark(pid).endswith(ending)]
        below = [descendants(pid) for pid in marked]
        for pid in set(marked).union(*below):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not marked:
            return
        time.sleep(0.2)


def marked(name: str, made: Path) -> set[int]:
    """The processes of a contestant: its daemons and helpers, not what runs in its containers."""
    wanted = f"{name}@{made}".encode()
    return {pid for pid in _pids() if _mark(pid) == wanted}


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _mark(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        for variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if variable.startswith(f"{MARK}=".encode()):
                return variable.partition(b"=")[2]
    return b""


def _cgroups(*names: str) -> set[Path]:
    """The top cgroups of these names, in all hierarchies; of those that engines make, without."""
    patterns = [pattern for name in names or _ENGINES for pattern in (name, f"*/{name}")]
    return {path for pattern in patterns for path in _CGROUPS.glob(pattern)}


def _remove_cgroups(tops: set[Path]) -> None:
    for top in tops:
        for place, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                Path(place).rmdir()
