"""What takes room, as Docker's JSON.

Source: the Docker Engine API reference, version 1.45, "SystemDataUsage".
"""

from __future__ import annotations

from typing import Any

from orchestrator.model.observed import Volume
from orchestrator.wire.times import timestamp
from orchestrator.wire.volumes import volume_summary


def volume_usage(volume: Volume, size_bytes: int, containers: int) -> dict[str, Any]:
    """An entry of `Volumes`."""
    return volume_summary(volume) | {
        "UsageData": {"Size": size_bytes, "RefCount": containers},
    }


def cache_entry(
    *,
    identifier: str,
    kind: str,
    description: str,
    size_bytes: int,
    created_at: float,
    last_used_at: float,
    in_use: bool,
    shared: bool,
) -> dict[str, Any]:
    """An entry of `BuildCache`."""
    return {
        "ID": identifier,
        "Type": kind,
        "Description": description,
        "InUse": in_use,
        "Shared": shared,
        "Size": size_bytes,
        "CreatedAt": timestamp(created_at),
        "LastUsedAt": timestamp(last_used_at),
        "UsageCount": 1 if in_use else 0,
    }
