"""A service's limits, as the model has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.model.container import DeviceLimit, Resources, Ulimit

_NUMBERS = {
    "cpu_shares": "cpu_shares",
    "cpu_period": "cpu_period_us",
    "cpu_rt_period": "cpu_rt_period_us",
    "cpu_rt_runtime": "cpu_rt_runtime_us",
    "memswap_limit": "memory_swap_bytes",
    "mem_swappiness": "memory_swappiness",
}
_RATES = ("device_read_bps", "device_write_bps", "device_read_iops", "device_write_iops")


def resources(said: Mapping[str, Any]) -> Resources:
    """The limits: a service's own, else those under `deploy.resources`."""
    limits = below(said, "deploy", "resources", "limits")
    reservations = below(said, "deploy", "resources", "reservations")
    blkio = said.get("blkio_config") or {}
    values: dict[str, Any] = {
        field: int(said[key]) for key, field in _NUMBERS.items() if said.get(key) is not None
    }
    values |= {rate: _devices(blkio.get(rate, ()), "rate") for rate in _RATES}
    return Resources(
        memory_bytes=said.get("mem_limit", limits.get("memory", 0)),
        memory_reservation_bytes=said.get("mem_reservation", reservations.get("memory", 0)),
        oom_kill_disable=said.get("oom_kill_disable", False),
        nano_cpus=said.get("cpus", limits.get("cpus", 0)),
        cpu_quota_us=int(max(0, said.get("cpu_quota", 0))),
        cpuset_cpus=said.get("cpuset", ""),
        pids_limit=max(0, said.get("pids_limit", limits.get("pids", 0))),
        blkio_weight=blkio.get("weight", 0),
        blkio_weight_device=_devices(blkio.get("weight_device", ()), "weight"),
        ulimits=ulimits(said.get("ulimits", {})),
        **values,
    )


def ulimits(said: Mapping[str, Mapping[str, int]]) -> tuple[Ulimit, ...]:
    """The limits of processes."""
    return tuple(
        Ulimit(name=name, soft=limit["soft"], hard=limit["hard"]) for name, limit in said.items()
    )


def below(said: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """The mapping at the end of those keys, an empty one where it is not given."""
    for key in keys:
        said = said.get(key) or {}
    return said


def _devices(said: Sequence[Mapping[str, Any]], key: str) -> tuple[DeviceLimit, ...]:
    return tuple(DeviceLimit(path=device["path"], value=int(device[key])) for device in said)
