"""Volumes as Docker's JSON.

Source: the Docker Engine API reference, version 1.45 (field names and meanings).
"""

from __future__ import annotations

from typing import Any

from orchestrator.model.observed import Volume
from orchestrator.wire.times import timestamp


def volume_summary(volume: Volume) -> dict[str, Any]:
    """An entry of GET /volumes."""
    return {
        "Name": volume.name,
        "Driver": volume.driver,
        "Mountpoint": volume.mountpoint,
        "CreatedAt": timestamp(volume.created_at),
        "Labels": dict(volume.labels),
        "Options": dict(volume.options),
        "Scope": "local",
    }
