"""A container's usage as Docker's JSON.

Source: the Docker Engine API reference, version 1.45, "ContainerStats" (names and meanings).
"""

from __future__ import annotations

from typing import Any

from orchestrator.model.usage import BlockUsage, CpuUsage, Usage
from orchestrator.wire.times import timestamp


def stats_json(
    identifier: str, name: str, usage: Usage | None, before: Usage | None
) -> dict[str, Any]:
    """A line of GET /containers/{id}/stats; of a container that does not run (`usage` None) one
    that is empty but for its names."""
    return {
        "read": timestamp(usage.read_at if usage else 0),
        "preread": timestamp(before.read_at if before else 0),
        "pids_stats": _pids(usage),
        "blkio_stats": _blocks(usage.blocks if usage else ()),
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": _cpu(usage),
        "precpu_stats": _cpu(before),
        "memory_stats": _memory(usage),
        "name": f"/{name}",
        "id": identifier,
        **_networks(usage),
    }


def _pids(usage: Usage | None) -> dict[str, int]:
    shown = {}
    if usage and usage.pids:
        shown["current"] = usage.pids
    if usage and usage.pids_limit:
        shown["limit"] = usage.pids_limit
    return shown


def _cpu(usage: Usage | None) -> dict[str, Any]:
    cpu = usage.cpu if usage else CpuUsage()
    shown: dict[str, Any] = {
        "cpu_usage": {
            "total_usage": cpu.total_ns,
            "usage_in_kernelmode": cpu.kernel_ns,
            "usage_in_usermode": cpu.user_ns,
        },
        "throttling_data": {
            "periods": cpu.periods,
            "throttled_periods": cpu.throttled_periods,
            "throttled_time": cpu.throttled_ns,
        },
    }
    if cpu.per_cpu_ns:
        shown["cpu_usage"]["percpu_usage"] = list(cpu.per_cpu_ns)
    if usage:
        shown |= {"system_cpu_usage": usage.system_ns, "online_cpus": usage.cpus}
    return shown


def _memory(usage: Usage | None) -> dict[str, Any]:
    if usage is None:
        return {}
    memory = usage.memory
    shown: dict[str, Any] = {"usage": memory.used_bytes, "stats": dict(memory.numbers)}
    if memory.most_bytes:
        shown["max_usage"] = memory.most_bytes
    if memory.failures:
        shown["failcnt"] = memory.failures
    return {**shown, "limit": memory.limit_bytes}


def _blocks(blocks: tuple[BlockUsage, ...]) -> dict[str, Any]:
    def entries(of: str) -> list[dict[str, Any]] | None:
        shown = [
            {"major": b.major, "minor": b.minor, "op": b.operation, "value": getattr(b, of)}
            for b in blocks
        ]
        return shown or None

    rest = ("io_queue", "io_service_time", "io_wait_time", "io_merged", "io_time", "sectors")
    return {
        "io_service_bytes_recursive": entries("size_bytes"),
        "io_serviced_recursive": entries("count"),
        **{f"{name}_recursive": None for name in rest},
    }


def _networks(usage: Usage | None) -> dict[str, Any]:
    if usage is None or not usage.interfaces:
        return {}
    names = (
        "rx_bytes", "rx_packets", "rx_errors", "rx_dropped",
        "tx_bytes", "tx_packets", "tx_errors", "tx_dropped",
    )  # fmt: skip
    return {
        "networks": {
            interface: {name: getattr(used, name) for name in names}
            for interface, used in usage.interfaces.items()
        }
    }
