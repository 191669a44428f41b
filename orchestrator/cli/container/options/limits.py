"""Flags about what the container may use: memory, CPU, block devices, processes, rlimits."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from orchestrator.cli.container.options.table import Body, Flag, fill, invalid, put
from orchestrator.cli.units import bytes_of

FLAGS = (
    Flag("--memory -m", "size", "HostConfig.Memory", "limit of memory", "SIZE"),
    Flag("--memory-reservation", "size", "HostConfig.MemoryReservation", "soft limit", "SIZE"),
    Flag("--memory-swap", "signed-size", "HostConfig.MemorySwap", "memory and swap, -1", "SIZE"),
    Flag("--memory-swappiness", "number", "", "0 to 100", "N"),
    Flag("--kernel-memory", "size", "HostConfig.KernelMemory", "has no effect any more", "SIZE"),
    Flag("--cpus", "fraction", "", "limit of processor time", "N"),
    Flag("--cpu-shares -c", "number", "HostConfig.CpuShares", "weight against others", "N"),
    Flag("--cpu-period", "number", "HostConfig.CpuPeriod", "of the CFS scheduler", "MICROSECONDS"),
    Flag("--cpu-quota", "number", "HostConfig.CpuQuota", "of the CFS scheduler", "MICROSECONDS"),
    Flag("--cpu-rt-period", "number", "HostConfig.CpuRealtimePeriod", "real-time", "MICROSECONDS"),
    Flag(
        "--cpu-rt-runtime", "number", "HostConfig.CpuRealtimeRuntime", "real-time", "MICROSECONDS"
    ),
    Flag("--cpuset-cpus", "text", "HostConfig.CpusetCpus", "which processors: 0-2,4", "LIST"),
    Flag("--cpuset-mems", "text", "HostConfig.CpusetMems", "which memory nodes", "LIST"),
    Flag("--pids-limit", "number", "HostConfig.PidsLimit", "limit of processes, -1", "N"),
    Flag("--blkio-weight", "number", "HostConfig.BlkioWeight", "10 to 1000, 0", "N"),
    Flag("--blkio-weight-device", "list", "", "the same for one device", "DEVICE:N"),
    Flag("--device-read-bps", "list", "", "bytes a second", "DEVICE:SIZE"),
    Flag("--device-write-bps", "list", "", "bytes a second", "DEVICE:SIZE"),
    Flag("--device-read-iops", "list", "", "operations a second", "DEVICE:N"),
    Flag("--device-write-iops", "list", "", "operations a second", "DEVICE:N"),
    Flag("--ulimit", "list", "", "an rlimit: nofile=1024:2048", "NAME=SOFT[:HARD]"),
    Flag("--shm-size", "size", "HostConfig.ShmSize", "size of /dev/shm", "SIZE"),
    Flag("--oom-kill-disable", "switch", "HostConfig.OomKillDisable", "no OOM kills"),
    Flag("--oom-score-adj", "number", "HostConfig.OomScoreAdj", "-1000 to 1000", "N"),
    Flag("--storage-opt", "pairs", "HostConfig.StorageOpt", "size=…", "NAME=VALUE"),
)
# By flag: the place in HostConfig, the name of the number there, and how it is read.
_BY_DEVICE: dict[str, tuple[str, str, Callable[[str], int]]] = {
    "--blkio-weight-device": ("BlkioWeightDevice", "Weight", int),
    "--device-read-bps": ("BlkioDeviceReadBps", "Rate", bytes_of),
    "--device-write-bps": ("BlkioDeviceWriteBps", "Rate", bytes_of),
    "--device-read-iops": ("BlkioDeviceReadIOps", "Rate", int),
    "--device-write-iops": ("BlkioDeviceWriteIOps", "Rate", int),
}
_NANO = 1_000_000_000


def limits(body: Body, args: argparse.Namespace) -> None:
    """Put the limits into the body.  Raises: InvalidInput: a flag is malformed."""
    fill(body, args, FLAGS)
    host = body["HostConfig"]
    if args.cpus is not None:
        host["NanoCpus"] = round(args.cpus * _NANO)
    if args.memory_swappiness is not None and args.memory_swappiness >= 0:
        host["MemorySwappiness"] = args.memory_swappiness
    for flag, (place, number, read) in _BY_DEVICE.items():
        texts = getattr(args, flag.removeprefix("--").replace("-", "_"))
        if texts:
            put(host, place, [_device(flag, text, number, read) for text in texts])
    if args.ulimit:
        host["Ulimits"] = [_ulimit(text) for text in args.ulimit]


def _device(flag: str, text: str, number: str, read: Callable[[str], int]) -> dict[str, Any]:
    path, _, amount = text.rpartition(":")
    try:
        if path.startswith("/dev/"):
            return {"Path": path, number: read(amount)}
    except ValueError:
        pass
    raise invalid(flag, text, "expected DEVICE:NUMBER", "write it as /dev/sda:10mb or /dev/sda:100")


def _ulimit(text: str) -> dict[str, Any]:
    name, _, amounts = text.partition("=")
    soft, _, hard = amounts.partition(":")
    try:
        return {"Name": name, "Soft": int(soft), "Hard": int(hard or soft)}
    except ValueError:
        raise invalid("--ulimit", text, "expected NAME=SOFT[:HARD]", "write nofile=1024") from None
