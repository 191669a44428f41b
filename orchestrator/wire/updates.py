"""What POST /containers/{id}/update changes.

Source: the Docker Engine API reference, version 1.45, "ContainerUpdate".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from orchestrator.model.container import Resources
from orchestrator.wire.limits import resources_from

# What a running container's limits can be changed in; the rest of Resources is not looked at.
_CHANGEABLE = (
    "memory_bytes", "memory_reservation_bytes", "memory_swap_bytes", "nano_cpus", "cpu_shares",
    "cpu_period_us", "cpu_quota_us", "cpu_rt_period_us", "cpu_rt_runtime_us", "cpuset_cpus",
    "cpuset_mems", "blkio_weight",
)  # fmt: skip


def update_from(body: Mapping[str, Any]) -> dict[str, object]:
    """The limits that are to be otherwise, as fields of Resources; no limit of processes is -1.

    Raises: ValueError, TypeError, KeyError: malformed.
    """
    given, usual = asdict(resources_from(body)), asdict(Resources())
    found = {name: given[name] for name in _CHANGEABLE if given[name] != usual[name]}
    if (pids := body.get("PidsLimit")) is not None:
        found["pids_limit"] = int(pids) if int(pids) > 0 else -1
    return found
