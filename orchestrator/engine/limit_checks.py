"""Whether a container's limits make sense, and which of them this kernel does not have. Pure.

Source: Docker's reference, "docker container run", resource constraints.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.errors import InvalidInput
from orchestrator.model.container import ContainerSpec, Resources
from orchestrator.runtime.host import Host

_LEAST_MEMORY = 6 << 20
_PERIODS_US = (1000, 1_000_000)
_LEAST_QUOTA_US = 1000
_WEIGHTS = (10, 1000)
_NANO = 1_000_000_000


def check_limits(spec: ContainerSpec, host: Host, lacking: frozenset[str]) -> None:
    """Nothing, where the host can do it; `lacking` are limits that its kernel does not have.

    Raises: InvalidInput: a limit is out of its range, or two of them exclude each other.
    """
    for problem in _problems(spec, host, lacking):
        raise InvalidInput(
            problem, code="limit-invalid", about=problem.partition(":")[0], hint="correct the limit"
        )


def _problems(spec: ContainerSpec, host: Host, lacking: frozenset[str]) -> Iterator[str]:
    limits = spec.resources
    yield from _memory(limits)
    yield from _cpu(limits, host.cpus)
    weights = [limits.blkio_weight, *(d.value for d in limits.blkio_weight_device)]
    if any(w and not _WEIGHTS[0] <= w <= _WEIGHTS[1] for w in weights):
        yield f"blkio-weight: it is {_WEIGHTS[0]} to {_WEIGHTS[1]}"
    if not -1000 <= spec.oom_score_adj <= 1000:
        yield "oom-score-adj: it is -1000 to 1000"
    elif spec.oom_score_adj < host.oom_score_adj and "SYS_RESOURCE" not in host.capabilities:
        yield "oom-score-adj: the engine may not set one lower than its own here"
    if spec.shm_size_bytes < 0:
        yield "shm-size: it must be more than 0"
    if "cpu-rt" in lacking and (limits.cpu_rt_period_us or limits.cpu_rt_runtime_us):
        yield "cpu-rt: this kernel does not limit real-time scheduling by cgroup"


def _memory(limits: Resources) -> Iterator[str]:
    memory, swap = limits.memory_bytes, limits.memory_swap_bytes
    if 0 < memory < _LEAST_MEMORY:
        yield "memory: the least limit is 6m"
    if swap and not memory and swap > 0:
        yield "memory-swap: it is memory and swap together, so --memory must be given too"
    if 0 < swap < memory:
        yield "memory-swap: it is memory and swap together, so not less than --memory"
    if limits.memory_reservation_bytes > memory > 0:
        yield "memory-reservation: it must not be more than --memory"
    if 0 < limits.memory_reservation_bytes < _LEAST_MEMORY:
        yield "memory-reservation: the least is 6m"
    if not -1 <= limits.memory_swappiness <= 100:
        yield "memory-swappiness: it is 0 to 100"


def _cpu(limits: Resources, cpus: int) -> Iterator[str]:
    if limits.nano_cpus < 0 or limits.nano_cpus > cpus * _NANO:
        yield f"cpus: this machine has {cpus}, so it is 0.01 to {cpus}"
    if limits.nano_cpus and (limits.cpu_period_us or limits.cpu_quota_us):
        yield "cpus: it cannot go together with --cpu-period and --cpu-quota"
    if limits.cpu_period_us and not _PERIODS_US[0] <= limits.cpu_period_us <= _PERIODS_US[1]:
        yield "cpu-period: it is 1000 to 1000000 microseconds"
    if 0 < limits.cpu_quota_us < _LEAST_QUOTA_US:
        yield "cpu-quota: it is at least 1000 microseconds"
    if limits.cpu_shares < 0:
        yield "cpu-shares: it must not be negative"
    for name, text in (("cpuset-cpus", limits.cpuset_cpus), ("cpuset-mems", limits.cpuset_mems)):
        numbers = _listed(text)
        if numbers is None:
            yield f"{name}: {text!r} is not a list such as 0-2,4"
        elif name == "cpuset-cpus" and max(numbers, default=0) >= cpus:
            yield f"{name}: {text!r} names a CPU that this machine does not have"


def _listed(text: str) -> list[int] | None:
    """The ends of every range of a list of numbers, None where it is none."""
    found: list[int] = []
    for part in filter(None, text.split(",")):
        ends = part.strip().split("-")
        if len(ends) > 2 or not all(e.isdigit() for e in ends) or int(ends[0]) > int(ends[-1]):
            return None
        found += map(int, ends)
    return found


def limit_warnings(spec: ContainerSpec, host: Host, lacking: frozenset[str]) -> Iterator[str]:
    """What is left out because the kernel does not have it, in Docker's words."""
    limits = spec.resources
    if limits.memory_bytes and not host.swap and limits.memory_swap_bytes != -1:
        yield (
            "Your kernel does not support swap limit capabilities or the cgroup is not mounted."
            " Memory limited without swap."
        )
    wanted = {
        "swappiness": (limits.memory_swappiness >= 0, "memory swappiness", "Memory swappiness"),
        "oom-kill-disable": (limits.oom_kill_disable, "OomKillDisable", "OomKillDisable"),
        "blkio-weight": (
            bool(limits.blkio_weight or limits.blkio_weight_device),
            "Block I/O weight",
            "Weight",
        ),
        "blkio-throttle": (
            any(
                (
                    limits.device_read_bps,
                    limits.device_write_bps,
                    limits.device_read_iops,
                    limits.device_write_iops,
                )
            ),
            "block I/O throttling",
            "Block I/O limits",
        ),
    }
    for limit, (asked, what, discarded) in wanted.items():
        if asked and limit in lacking:
            yield (
                f"Your kernel does not support {what} or the cgroup is not mounted."
                f" {discarded} discarded."
            )
    if limits.oom_kill_disable and not limits.memory_bytes and "oom-kill-disable" not in lacking:
        yield (
            "OOM killer is disabled for the container, but no memory limit is set, this can result"
            " in the system running out of resources."
        )
