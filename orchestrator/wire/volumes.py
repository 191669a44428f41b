"""Volumes as Docker's JSON.

Source: the Docker Engine API reference, version 1.45 (field names and meanings).
"""

from __future__ import annotations

import re
from typing import Any

from orchestrator.errors import InvalidInput
from orchestrator.model.observed import Volume
from orchestrator.wire.times import date

_ANONYMOUS = "com.docker.volume.anonymous"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


def volume_summary(volume: Volume) -> dict[str, Any]:
    """An entry of GET /volumes."""
    return {
        "CreatedAt": date(volume.created_at),
        "Driver": volume.driver,
        "Labels": labels_of(volume) or None,
        "Mountpoint": volume.mountpoint,
        "Name": volume.name,
        "Options": dict(volume.options) or None,
        "Scope": "local",
    }


def labels_of(volume: Volume) -> dict[str, str]:
    """The volume's labels, and the one that tells those without a name of their own."""
    return {**volume.labels, **({_ANONYMOUS: ""} if volume.anonymous else {})}


def check_volume_name(name: str) -> None:
    """Raises: InvalidInput: a volume cannot be called so."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f'"{name}" includes invalid characters for a local volume name, only'
            ' "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory,'
            " use absolute path",
            code="volume-name-invalid",
            about=name,
            hint="use two letters, digits, _ . or - at least",
        )
