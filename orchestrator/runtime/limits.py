"""A container's limits in the OCI form: cgroup resources and rlimits. Pure, but looks up block
devices' numbers."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import InvalidInput
from orchestrator.model.container import DeviceLimit, Resources, Ulimit
from orchestrator.runtime.host import RLIMITS, UNLIMITED, Host

_PERIOD_US = 100_000
_LEAST_QUOTA_US = 1000
_NOFILE = 1 << 20


def resources(
    wanted: Resources, host: Host, lacking: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The `linux.resources` of the OCI configuration, without devices; only what was asked for,
    and of that nothing which is `lacking` here (see `kernel_limits`).

    Swap follows Docker: as much again as the memory unless said otherwise, -1 without limit.

    Raises: InvalidInput: a path is not that of a block device.
    Source: OCI runtime specification, "Control groups".
    """
    found = {
        "memory": _memory(wanted, host, lacking),
        "cpu": _cpu(wanted, lacking),
        "blockIO": _block_io(wanted, lacking),
        "pids": {"limit": wanted.pids_limit} if wanted.pids_limit else {},
    }
    return {kind: limits for kind, limits in found.items() if limits}


def _memory(wanted: Resources, host: Host, lacking: frozenset[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if wanted.memory_bytes > 0:
        found["limit"] = wanted.memory_bytes
        if host.swap:
            found["swap"] = wanted.memory_swap_bytes or 2 * wanted.memory_bytes
    if wanted.memory_reservation_bytes > 0:
        found["reservation"] = wanted.memory_reservation_bytes
    if wanted.memory_swappiness >= 0 and "swappiness" not in lacking:
        found["swappiness"] = wanted.memory_swappiness
    if wanted.oom_kill_disable and "oom-kill-disable" not in lacking:
        found["disableOOMKiller"] = True
    return found


def _cpu(wanted: Resources, lacking: frozenset[str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "shares": wanted.cpu_shares,
        "period": wanted.cpu_period_us,
        "quota": wanted.cpu_quota_us,
        "cpus": wanted.cpuset_cpus,
        "mems": wanted.cpuset_mems,
    }
    if "cpu-rt" not in lacking:
        found["realtimePeriod"] = wanted.cpu_rt_period_us
        found["realtimeRuntime"] = wanted.cpu_rt_runtime_us
    if wanted.nano_cpus > 0:
        found["period"] = _PERIOD_US
        quota_us = wanted.nano_cpus * _PERIOD_US // 1_000_000_000
        found["quota"] = max(_LEAST_QUOTA_US, quota_us)
    return {name: value for name, value in found.items() if value}


def _block_io(wanted: Resources, lacking: frozenset[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "blkio-weight" not in lacking:
        found["weight"] = wanted.blkio_weight
        found["weightDevice"] = _devices(wanted.blkio_weight_device, "weight")
    if "blkio-throttle" not in lacking:
        found["throttleReadBpsDevice"] = _devices(wanted.device_read_bps, "rate")
        found["throttleWriteBpsDevice"] = _devices(wanted.device_write_bps, "rate")
        found["throttleReadIOPSDevice"] = _devices(wanted.device_read_iops, "rate")
        found["throttleWriteIOPSDevice"] = _devices(wanted.device_write_iops, "rate")
    return {name: value for name, value in found.items() if value}


def _devices(limits: Sequence[DeviceLimit], number: str) -> list[dict[str, int]]:
    found = []
    for limit in limits:
        try:
            status = Path(limit.path).stat()
        except OSError:
            status = None
        if status is None or not stat.S_ISBLK(status.st_mode):
            raise InvalidInput(
                f"{limit.path} is no block device of this machine",
                code="no-such-device",
                about=limit.path,
                hint="`lsblk` lists them",
            )
        device = status.st_rdev
        found.append({"major": os.major(device), "minor": os.minor(device), number: limit.value})
    return found


def rlimits(ulimits: Sequence[Ulimit], host: Host) -> list[dict[str, Any]]:
    """The `process.rlimits`, never above what the engine itself may set.

    Open files are unlimited by default as far as that goes, because a service would otherwise
    inherit whatever the engine was started with.

    Raises: InvalidInput: no such limit, or one whose soft value is above the hard one.
    Source: setrlimit(2).
    """
    wanted = {"nofile": Ulimit(name="nofile", soft=_NOFILE, hard=_NOFILE)}
    for ulimit in ulimits:
        if ulimit.name.lower() not in RLIMITS:
            raise InvalidInput(
                f"no such ulimit: {ulimit.name}",
                code="no-such-ulimit",
                about=ulimit.name,
                hint=f"the limits are {', '.join(RLIMITS)}",
            )
        if _amount(ulimit.soft) > _amount(ulimit.hard):
            raise InvalidInput(
                f"ulimit {ulimit.name}: the soft limit is above the hard one",
                code="ulimit-invalid",
                about=ulimit.name,
                hint=f"write {ulimit.name}=SOFT:HARD with SOFT at most HARD, or one number",
            )
        wanted[ulimit.name.lower()] = ulimit
    found = []
    for name, ulimit in wanted.items():
        most = host.hard_limits.get(name, UNLIMITED)
        hard = min(most, _amount(ulimit.hard))
        soft = min(hard, _amount(ulimit.soft))
        found.append({"type": f"RLIMIT_{name.upper()}", "soft": soft, "hard": hard})
    return found


def _amount(value: int) -> int:
    return UNLIMITED if value < 0 else value
