"""Limits of a container as Docker's JSON, both ways.

Source: the Docker Engine API reference, version 1.45, "Resources".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.model.container import DeviceLimit, Resources, Ulimit

_NUMBERS = {
    "Memory": "memory_bytes",
    "MemoryReservation": "memory_reservation_bytes",
    "MemorySwap": "memory_swap_bytes",
    "NanoCpus": "nano_cpus",
    "CpuShares": "cpu_shares",
    "CpuPeriod": "cpu_period_us",
    "CpuQuota": "cpu_quota_us",
    "CpuRealtimePeriod": "cpu_rt_period_us",
    "CpuRealtimeRuntime": "cpu_rt_runtime_us",
    "BlkioWeight": "blkio_weight",
}
_TEXTS = {"CpusetCpus": "cpuset_cpus", "CpusetMems": "cpuset_mems"}
_DEVICES = {
    "BlkioWeightDevice": ("blkio_weight_device", "Weight"),
    "BlkioDeviceReadBps": ("device_read_bps", "Rate"),
    "BlkioDeviceWriteBps": ("device_write_bps", "Rate"),
    "BlkioDeviceReadIOps": ("device_read_iops", "Rate"),
    "BlkioDeviceWriteIOps": ("device_write_iops", "Rate"),
}


def resources_from(host: Mapping[str, Any]) -> Resources:
    """The limits in a HostConfig.  Raises: ValueError, TypeError, KeyError: malformed."""
    values: dict[str, Any] = {field: int(host.get(key) or 0) for key, field in _NUMBERS.items()}
    values |= {field: str(host.get(key) or "") for key, field in _TEXTS.items()}
    for key, (field, number) in _DEVICES.items():
        given = host.get(key) or ()
        values[field] = tuple(DeviceLimit(path=d["Path"], value=int(d[number])) for d in given)
    swappiness = host.get("MemorySwappiness")
    return Resources(
        **{**values, "cpu_quota_us": max(0, values["cpu_quota_us"])},
        memory_swappiness=-1 if swappiness is None else int(swappiness),
        oom_kill_disable=bool(host.get("OomKillDisable")),
        pids_limit=max(0, int(host.get("PidsLimit") or 0)),
        ulimits=tuple(
            Ulimit(name=u["Name"], soft=int(u["Soft"]), hard=int(u["Hard"]))
            for u in host.get("Ulimits") or ()
        ),
    )


def resources_shown(limits: Resources) -> dict[str, Any]:
    """The members of HostConfig that say the limits.

    Memory and swap together are twice the memory where only that was given, as it is then done.
    """
    shown: dict[str, Any] = {key: getattr(limits, field) for key, field in _NUMBERS.items()}
    shown |= {key: getattr(limits, field) for key, field in _TEXTS.items()}
    for key, (field, number) in _DEVICES.items():
        shown[key] = [{"Path": d.path, number: d.value} for d in getattr(limits, field)]
    return {
        **shown,
        "MemorySwap": limits.memory_swap_bytes or 2 * limits.memory_bytes,
        "MemorySwappiness": None if limits.memory_swappiness < 0 else limits.memory_swappiness,
        "OomKillDisable": limits.oom_kill_disable,
        "PidsLimit": limits.pids_limit or None,
        "Ulimits": [{"Name": u.name, "Soft": u.soft, "Hard": u.hard} for u in limits.ulimits],
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
    }
