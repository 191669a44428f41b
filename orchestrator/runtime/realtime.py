"""Room for real-time scheduling in the cgroup above a container's, which v1 wants set aside first.

Source: the kernel's scheduler/sched-rt-group; cgroup v1 only, v2 has no such limit.
"""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import Failed
from orchestrator.runtime.cgroups import CGROUPS

_PERIOD_US = 1_000_000


def set_aside(parent: str, runtime_us: int, period_us: int, top: Path = CGROUPS / "cpu") -> None:
    """Let the cgroup `parent` have what its children have, and `runtime_us` in each `period_us`
    (0 is a second) besides. Blocking.

    Raises: Failed: the kernel, or the cgroup above it, has not so much to give.
    """
    here = top
    for part in Path(parent.strip("/")).parts:
        here /= part
        here.mkdir(exist_ok=True)
        wanted = _share(runtime_us, period_us or _PERIOD_US) + sum(map(_share_of, _below(here)))
        if wanted <= _share_of(here):
            continue
        try:
            (here / "cpu.rt_period_us").write_text(str(_PERIOD_US))
            (here / "cpu.rt_runtime_us").write_text(str(wanted))
        except OSError as error:
            raise Failed(
                f"real-time processor time cannot be set aside: {error.strerror}",
                code="no-real-time",
                about=str(here),
                hint="ask for less, or leave --cpu-rt-runtime out",
            ) from error


def _below(directory: Path) -> list[Path]:
    return [child for child in directory.iterdir() if child.is_dir()]


def _share_of(directory: Path) -> int:
    runtime_us = int((directory / "cpu.rt_runtime_us").read_text())
    return _share(runtime_us, int((directory / "cpu.rt_period_us").read_text()))


def _share(runtime_us: int, period_us: int) -> int:
    """Microseconds of each second, rounded up."""
    return -(-runtime_us * _PERIOD_US // period_us)
