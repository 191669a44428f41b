"""What this kernel can limit in containers, and how it is set up for them.

Source: the kernel's admin-guide/cgroup-v1 and cgroup-v2.rst; proc_sys_net(5).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.runtime.cgroups import CGROUPS, Layout

_NET = Path("/proc/sys/net")


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """Each whether it can be had here."""

    memory: bool
    swap: bool
    cpu_quota: bool
    cpu_shares: bool
    cpuset: bool
    pids: bool
    oom_kill_disable: bool
    forwarding: bool
    bridge_filter: bool
    bridge_filter6: bool


def read_features(layout: Layout, top: Path = CGROUPS, net: Path = _NET) -> Features:
    """The features of this machine (blocking: a few small files)."""
    return Features(
        memory=_has(layout, top, "memory", "memory.limit_in_bytes"),
        swap=layout == "v2" or (top / "memory/memory.memsw.limit_in_bytes").exists(),
        cpu_quota=_has(layout, top, "cpu", "cpu.cfs_quota_us"),
        cpu_shares=_has(layout, top, "cpu", "cpu.shares"),
        cpuset=_has(layout, top, "cpuset", "cpuset.cpus"),
        pids=_has(layout, top, "pids", ""),
        oom_kill_disable=layout != "v2" and (top / "memory/memory.oom_control").exists(),
        forwarding=_on(net / "ipv4/ip_forward"),
        bridge_filter=_on(net / "bridge/bridge-nf-call-iptables"),
        bridge_filter6=_on(net / "bridge/bridge-nf-call-ip6tables"),
    )


def _has(layout: Layout, top: Path, controller: str, file: str) -> bool:
    if layout == "v2":
        with suppress(OSError):
            return controller in (top / "cgroup.controllers").read_text().split()
        return False
    return (top / controller / file).exists()


def _on(path: Path) -> bool:
    with suppress(OSError):
        return path.read_text().strip() == "1"
    return False
