"""What of this machine limits what a container can be given."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.runtime import apparmor
from orchestrator.runtime.capabilities import names_in
from orchestrator.runtime.cgroups import CGROUPS, Layout, layout
from orchestrator.runtime.seccomp import machine_and_kernel
from orchestrator.runtime.selinux import Contexts, read_contexts

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
    (by lower-case name, absent means none), the cgroup layout, whether swap is accounted; and what
    the kernel can confine with. `kernel` is (major, minor), `oom_score_adj`
    the engine's own."""

    capabilities: frozenset[str]
    hard_limits: Mapping[str, int] = field(default_factory=dict)
    layout: Layout = "v2"
    swap: bool = True
    machine: str = "x86_64"
    kernel: tuple[int, int] = (6, 1)
    seccomp: bool = True
    apparmor: frozenset[str] = frozenset()
    selinux: Contexts | None = None
    oom_score_adj: int = 0
    cpus: int = field(default_factory=lambda: os.cpu_count() or 1)


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
    machine, kernel = machine_and_kernel()
    return Host(
        capabilities=capabilities,
        hard_limits=limits,
        layout=kind,
        swap=swap,
        machine=machine,
        kernel=kernel,
        seccomp="Seccomp" in fields,
        apparmor=apparmor.loaded_profiles(),
        selinux=read_contexts(),
        oom_score_adj=int(Path("/proc/self/oom_score_adj").read_text()),
    )


def security_options(host: Host) -> list[str]:
    """What this machine confines containers with, in the words of Docker's `info`."""
    found = ["name=seccomp,profile=builtin"] if host.seccomp else []
    if apparmor.PROFILE in host.apparmor:
        found.append("name=apparmor")
    if host.selinux:
        found.append("name=selinux")
    if Path("/proc/self/ns/cgroup").exists():
        found.append("name=cgroupns")
    return found


def _hard_limits() -> dict[str, int]:
    limits: dict[str, int] = {}
    for name in RLIMITS:
        number = getattr(resource, f"RLIMIT_{name.upper()}", None)
        if number is not None:
            hard = resource.getrlimit(number)[1]
            if hard != resource.RLIM_INFINITY:
                limits[name] = hard
    return limits
