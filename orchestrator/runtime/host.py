"""What of this machine limits what a container can be given."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.runtime.capabilities import names_in
from orchestrator.runtime.cgroups import CGROUPS, Layout, layout

UNLIMITED = 2**64 - 1

RLIMITS = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Limits of the engine: its capabilities (without `CAP_`), the hard rlimits it may not exceed
    (by lower-case name, absent means none), the cgroup layout, whether swap is accounted."""

    capabilities: frozenset[str]
    hard_limits: Mapping[str, int] = field(default_factory=dict)
    layout: Layout = "v2"
    swap: bool = True


def read_host() -> Host:
    """The machine as this process sees it."""
    status = Path("/proc/self/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    capabilities = names_in(int(fields["CapBnd"], 16) & int(fields["CapPrm"], 16))
    kind = layout()
    swap = kind == "v2" or (CGROUPS / "memory/memory.memsw.limit_in_bytes").exists()
    limits = {} if "SYS_RESOURCE" in capabilities else _hard_limits()
    nr_open = int(Path("/proc/sys/fs/nr_open").read_text())
    limits["nofile"] = min(limits.get("nofile", nr_open), nr_open)
    return Host(capabilities=capabilities, hard_limits=limits, layout=kind, swap=swap)


def _hard_limits() -> dict[str, int]:
    limits: dict[str, int] = {}
    for name in RLIMITS:
        number = getattr(resource, f"RLIMIT_{name.upper()}", None)
        if number is not None:
            hard = resource.getrlimit(number)[1]
            if hard != resource.RLIM_INFINITY:
                limits[name] = hard
    return limits
