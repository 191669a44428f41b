"""What the numbers are taken on, as lines for people."""

from __future__ import annotations

import os
import platform
from pathlib import Path

_FLUSHES = 15
_CGROUPS = Path("/sys/fs/cgroup")


def describe() -> list[str]:
    """The machine and its system."""
    names = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    model = names[0].partition(": ")[2] if names else platform.machine()
    kib = int(Path("/proc/meminfo").read_text().split()[1])
    release = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    return [
        f"{os.cpu_count()} x {model}, {kib >> 20} GiB",
        f"{release}, kernel {platform.release()}, Python {platform.python_version()}",
        f"data on {filesystem(Path('/var/lib'))}",
    ]


def layout() -> str:
    """The cgroup layout: of the host, and where that differs, of the contestants."""
    if (_CGROUPS / "cgroup.controllers").exists():
        return "v2"
    if (_CGROUPS / "unified").is_dir():
        return (
            "hybrid on the host; v1 for all contestants, whose mount namespaces have no unified "
            "hierarchy (crun refuses both side by side)"
        )
    return "v1"


def filesystem(path: Path) -> str:
    """The type and the options of what is mounted there."""
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        front, _, back = line.partition(" - ")
        if front.split()[2] == wanted:
            kind, source = back.split()[:2]
            return f"{kind} ({source}, {front.split()[5]})"
    return "an unknown file system"


def flushes(path: Path) -> int:
    """How often the disk below the path has been told to make its writes durable, since it is
    there; 0 where there is no such count.  Source: Documentation/admin-guide/iostats.rst."""
    device = path.stat().st_dev
    statistics = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
    try:
        fields = statistics.read_text().split()
    except OSError:
        return 0
    return int(fields[_FLUSHES]) if len(fields) > _FLUSHES else 0
