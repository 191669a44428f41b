"""Which limits this machine's cgroups do not have.  Source: the kernel's cgroup-v1/*, cgroup-v2."""

from __future__ import annotations

from pathlib import Path

from orchestrator.runtime.cgroups import CGROUPS, Layout, layout

# By limit: its file in the v1 hierarchies, and where v2 tells of it: the controller, or a file in
# some cgroup below the root. "" where v2 has no such thing.
_FILES = {
    "swappiness": ("memory/memory.swappiness", ""),
    "oom-kill-disable": ("memory/memory.oom_control", ""),
    "cpu-rt": ("cpu/cpu.rt_runtime_us", ""),
    "blkio-weight": ("blkio/blkio.weight", "*/io.weight"),
    "blkio-throttle": ("blkio/blkio.throttle.read_bps_device", "io"),
}
LIMITS = frozenset(_FILES)


def missing_limits(kind: Layout | None = None, top: Path = CGROUPS) -> frozenset[str]:
    """Those of LIMITS that cannot be set here."""
    unified = (kind or layout()) == "v2"
    return frozenset(
        limit for limit, (v1, v2) in _FILES.items() if not _has(top, v2 if unified else v1)
    )


def _has(top: Path, sign: str) -> bool:
    if "/" in sign:
        return any(True for _ in top.glob(sign))
    controllers = top / "cgroup.controllers"
    return controllers.exists() and sign in controllers.read_text().split()
