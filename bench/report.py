"""The measurements as a table: median, spread, and the ratio of pystack's to each peer's."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.contestants import Contestant

Measured = Mapping[str, Mapping[str, Sequence[float]]]
"""Seconds, by what was measured and by contestant."""


def machine() -> list[str]:
    """What the numbers were taken on."""
    names = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    model = names[0].partition(": ")[2] if names else platform.machine()
    kib = int(Path("/proc/meminfo").read_text().split()[1])
    release = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    return [
        f"machine: {os.cpu_count()} x {model}, {kib >> 20} GiB",
        f"system: {release}, kernel {platform.release()}, cgroups {cgroups()}, "
        f"Python {platform.python_version()}",
    ]


def cgroups() -> str:
    """The cgroup layout: v1, v2, or hybrid."""
    top = Path("/sys/fs/cgroup")
    if (top / "cgroup.controllers").exists():
        return "v2"
    return "hybrid" if (top / "unified").is_dir() else "v1"


def contestants(present: Sequence[Contestant]) -> list[str]:
    return [f"{c.name}: {c.version()}; {c.synced}" for c in present]


def table(measured: Measured) -> list[str]:
    """One block per thing measured; the first contestant is the one the ratios are of."""
    lines = []
    for what, by_contestant in measured.items():
        lines += ["", what]
        own = statistics.median(next(iter(by_contestant.values())))
        for position, (name, seconds) in enumerate(by_contestant.items()):
            median = statistics.median(seconds)
            line = (
                f"  {name:<8} median {median * 1000:8.1f} ms   "
                f"min {min(seconds) * 1000:8.1f}   max {max(seconds) * 1000:8.1f}   "
                f"n={len(seconds)}"
            )
            if position:
                line += f"   pystack / {name} = {own / median:.2f}"
            lines.append(line)
    return lines
