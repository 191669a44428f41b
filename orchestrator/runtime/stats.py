"""The kernel's numbers about a running container: its control group's and its interfaces'.

One reading is a handful of small files; it blocks for less than a millisecond, so call it in a
thread when there are many. v1 has a hierarchy for each controller, v2 has one for all, and a hybrid
layout counts in those of v1.

Source: the kernel's admin-guide/cgroup-v2.rst and admin-guide/cgroup-v1; proc_pid_net(5),
proc_stat(5).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from orchestrator.model.usage import BlockUsage, CpuUsage, InterfaceUsage, MemoryUsage, Usage
from orchestrator.runtime.cgroups import CGROUPS
from orchestrator.runtime.groups import control_groups

_NS = 1_000_000_000
_US_IN_NS = 1_000
# v1 says "no limit" with a number near the largest of 63 bits, rounded to pages.
_NO_LIMIT = 1 << 62


def read_usage(pid: int, identifier: str, *, network: bool = True) -> Usage:
    """What the container uses whose first process is `pid`; numbers that the kernel does not have
    are 0. With `network` False its interfaces are not its own and left out.

    Raises: ProcessLookupError: it has ended.
    """
    groups = control_groups(pid, identifier)
    unified = "" in groups
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    system_ns, cpus = _machine()
    read = _read_v2 if unified else _read_v1
    cpu, memory, blocks = read(groups)
    pids = groups[""] if unified else groups.get("pids", CGROUPS)
    return Usage(
        read_at=time.time(),
        cpu=cpu,
        memory=_limited(memory, machine),
        blocks=tuple(blocks),
        interfaces=_interfaces(pid) if network else {},
        pids=_number(pids / "pids.current"),
        pids_limit=_number(pids / "pids.max"),
        system_ns=system_ns,
        cpus=cpus,
    )


def _read_v1(
    groups: Mapping[str, Path],
) -> tuple[CpuUsage, MemoryUsage, Iterator[BlockUsage]]:
    account, quota = groups.get("cpuacct", CGROUPS), groups.get("cpu", CGROUPS)
    ticks = os.sysconf("SC_CLK_TCK")
    split, throttling = _pairs(account / "cpuacct.stat"), _pairs(quota / "cpu.stat")
    cpu = CpuUsage(
        total_ns=_number(account / "cpuacct.usage"),
        user_ns=split.get("user", 0) * _NS // ticks,
        kernel_ns=split.get("system", 0) * _NS // ticks,
        per_cpu_ns=tuple(int(n) for n in _text(account / "cpuacct.usage_percpu").split()),
        periods=throttling.get("nr_periods", 0),
        throttled_periods=throttling.get("nr_throttled", 0),
        throttled_ns=throttling.get("throttled_time", 0),
    )
    group = groups.get("memory", CGROUPS)
    memory = MemoryUsage(
        used_bytes=_number(group / "memory.usage_in_bytes"),
        limit_bytes=_number(group / "memory.limit_in_bytes"),
        most_bytes=_number(group / "memory.max_usage_in_bytes"),
        failures=_number(group / "memory.failcnt"),
        numbers=_pairs(group / "memory.stat"),
    )
    return cpu, memory, _blocks_v1(groups.get("blkio", CGROUPS))


def _blocks_v1(group: Path) -> Iterator[BlockUsage]:
    # Which of the files counts depends on the disk's scheduler; the throttling ones always do.
    for prefix in ("blkio.throttle.", "blkio.bfq.", "blkio."):
        sizes = _operations(group / f"{prefix}io_service_bytes_recursive")
        if sizes:
            counts = _operations(group / f"{prefix}io_serviced_recursive")
            for key, size in sizes.items():
                major, minor, operation = key
                yield BlockUsage(
                    major=major,
                    minor=minor,
                    operation=operation,
                    size_bytes=size,
                    count=counts.get(key, 0),
                )
            return


def _operations(path: Path) -> dict[tuple[int, int, str], int]:
    """Lines `8:0 Read 4096`."""
    found = {}
    for line in _text(path).splitlines():
        words = line.split()
        if len(words) == 3:
            major, _, minor = words[0].partition(":")
            found[int(major), int(minor), words[1].lower()] = int(words[2])
    return found


def _read_v2(
    groups: Mapping[str, Path],
) -> tuple[CpuUsage, MemoryUsage, Iterator[BlockUsage]]:
    group = groups[""]
    stat = _pairs(group / "cpu.stat")
    cpu = CpuUsage(
        total_ns=stat.get("usage_usec", 0) * _US_IN_NS,
        user_ns=stat.get("user_usec", 0) * _US_IN_NS,
        kernel_ns=stat.get("system_usec", 0) * _US_IN_NS,
        periods=stat.get("nr_periods", 0),
        throttled_periods=stat.get("nr_throttled", 0),
        throttled_ns=stat.get("throttled_usec", 0) * _US_IN_NS,
    )
    memory = MemoryUsage(
        used_bytes=_number(group / "memory.current"),
        limit_bytes=_number(group / "memory.max"),
        most_bytes=_number(group / "memory.peak"),
        failures=_pairs(group / "memory.events").get("max", 0),
        numbers=_pairs(group / "memory.stat"),
    )
    return cpu, memory, _blocks_v2(group / "io.stat")


def _blocks_v2(path: Path) -> Iterator[BlockUsage]:
    """Lines `8:0 rbytes=1 wbytes=2 rios=3 wios=4 …`."""
    for line in _text(path).splitlines():
        device, *rest = line.split()
        major, _, minor = device.partition(":")
        values = dict(word.split("=", 1) for word in rest if "=" in word)
        for operation in ("read", "write"):
            yield BlockUsage(
                major=int(major),
                minor=int(minor),
                operation=operation,
                size_bytes=int(values.get(f"{operation[0]}bytes", 0)),
                count=int(values.get(f"{operation[0]}ios", 0)),
            )


def _limited(memory: MemoryUsage, machine: int) -> MemoryUsage:
    limit = memory.limit_bytes
    if 0 < limit < min(machine, _NO_LIMIT):
        return memory
    return MemoryUsage(
        used_bytes=memory.used_bytes,
        limit_bytes=machine,
        most_bytes=memory.most_bytes,
        failures=memory.failures,
        numbers=memory.numbers,
    )


def _interfaces(pid: int) -> dict[str, InterfaceUsage]:
    """The interfaces of the process's network namespace, without the loopback."""
    found = {}
    for line in _text(Path(f"/proc/{pid}/net/dev")).splitlines()[2:]:
        name, _, rest = line.partition(":")
        numbers = [int(word) for word in rest.split()]
        if name.strip() == "lo" or len(numbers) < 12:
            continue
        found[name.strip()] = InterfaceUsage(
            rx_bytes=numbers[0],
            rx_packets=numbers[1],
            rx_errors=numbers[2],
            rx_dropped=numbers[3],
            tx_bytes=numbers[8],
            tx_packets=numbers[9],
            tx_errors=numbers[10],
            tx_dropped=numbers[11],
        )
    return found


def _machine() -> tuple[int, int]:
    """The time that all processors have spent, in ns, and how many they are."""
    first, *rest = Path("/proc/stat").read_text().splitlines()
    # The first seven: guest time is in user time already.
    ticks = sum(int(word) for word in first.split()[1:8])
    return ticks * _NS // os.sysconf("SC_CLK_TCK"), sum(line.startswith("cpu") for line in rest)


def _text(path: Path) -> str:
    # A file that is not there belongs to a controller that the kernel lacks; one that vanishes
    # while it is read (ENODEV) to a container that has just ended.
    with suppress(OSError):
        return path.read_text()
    return ""


def _number(path: Path) -> int:
    """The number in the file; 0 for none and for `max`."""
    text = _text(path).strip()
    return int(text) if text.isdigit() else 0


def _pairs(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in _text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
