"""A container's limits in the OCI form: cgroup resources and rlimits. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.errors import InvalidInput
from orchestrator.model.container import Resources, Ulimit
from orchestrator.runtime.host import RLIMITS, UNLIMITED, Host

_PERIOD_US = 100_000
_NOFILE = 1 << 20


def resources(wanted: Resources, host: Host) -> dict[str, Any]:
    """The `linux.resources` of the OCI configuration, without devices; only what was asked for.

    Swap follows Docker: as much again as the memory unless said otherwise, -1 without limit.
    Source: OCI runtime specification, "Control groups".
    """
    found: dict[str, Any] = {}
    memory: dict[str, int] = {}
    if wanted.memory_bytes > 0:
        memory["limit"] = wanted.memory_bytes
        if host.swap:
            memory["swap"] = wanted.memory_swap_bytes or 2 * wanted.memory_bytes
    if wanted.memory_reservation_bytes > 0:
        memory["reservation"] = wanted.memory_reservation_bytes
    cpu: dict[str, Any] = {}
    if wanted.nano_cpus > 0:
        cpu["period"] = _PERIOD_US
        cpu["quota"] = max(1000, wanted.nano_cpus * _PERIOD_US // 1_000_000_000)
    if wanted.cpu_shares > 0:
        cpu["shares"] = wanted.cpu_shares
    if wanted.cpuset_cpus:
        cpu["cpus"] = wanted.cpuset_cpus
    if memory:
        found["memory"] = memory
    if cpu:
        found["cpu"] = cpu
    if wanted.pids_limit:
        found["pids"] = {"limit": wanted.pids_limit}
    return found


def rlimits(ulimits: Sequence[Ulimit], host: Host) -> list[dict[str, Any]]:
    """The `process.rlimits`, never above what the engine itself may set.

    Open files are unlimited by default as far as that goes, because a service would otherwise
    inherit whatever the engine was started with.

    Raises: InvalidInput: no such limit.  Source: setrlimit(2).
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
