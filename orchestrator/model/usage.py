"""What a running container uses of the machine, at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuUsage:
    """Time on processors since the container began, in nanoseconds, and how often and how long it
    had to wait because of its quota. `per_cpu_ns` is empty where the kernel does not tell."""

    total_ns: int = 0
    user_ns: int = 0
    kernel_ns: int = 0
    per_cpu_ns: tuple[int, ...] = ()
    periods: int = 0
    throttled_periods: int = 0
    throttled_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUsage:
    """Bytes in use and allowed (the machine's memory where there is no limit), how often the limit
    was met, and the kernel's own numbers. `most_bytes` is 0 where the kernel does not tell."""

    used_bytes: int = 0
    limit_bytes: int = 0
    most_bytes: int = 0
    failures: int = 0
    numbers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockUsage:
    """What was moved to and from one block device: `operation` is read or write."""

    major: int
    minor: int
    operation: str
    size_bytes: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceUsage:
    """What went through one network interface."""

    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Everything at one moment (`read_at`, Unix seconds).

    `system_ns` is the time that all processors of the machine spent on anything, idling included,
    of which the container's share is told by two samples. `pids_limit` 0 means none.
    """

    read_at: float
    cpu: CpuUsage
    memory: MemoryUsage
    blocks: tuple[BlockUsage, ...] = ()
    interfaces: Mapping[str, InterfaceUsage] = field(default_factory=dict)
    pids: int = 0
    pids_limit: int = 0
    system_ns: int = 0
    cpus: int = 0
