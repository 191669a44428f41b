"""Images as Docker's JSON.

Source: the Docker Engine API reference, version 1.45 (field names and meanings).
"""

from __future__ import annotations

from typing import Any

from orchestrator.model.image import Image


def image_summary(image: Image, containers: int) -> dict[str, Any]:
    """An entry of GET /images/json."""
    return {
        "Id": image.id,
        "ParentId": "",
        "RepoTags": list(image.tags),
        "RepoDigests": list(image.digests),
        "Created": int(image.created_at),
        "Size": image.size_bytes,
        "SharedSize": -1,
        "Labels": dict(image.config.labels),
        "Containers": containers,
    }


def image_inspect(image: Image) -> dict[str, Any]:
    """The body of GET /images/{name}/json."""
    config = image.config
    return {
        "Id": image.id,
        "RepoTags": list(image.tags),
        "RepoDigests": list(image.digests),
        "Created": config.created,
        "Author": config.author,
        "Architecture": config.architecture,
        "Os": config.os,
        "Size": image.size_bytes,
        "Config": {
            "User": config.user,
            "Env": list(config.environment),
            "Cmd": list(config.command) or None,
            "Entrypoint": list(config.entrypoint) or None,
            "WorkingDir": config.working_dir,
            "Labels": dict(config.labels),
            "ExposedPorts": {p: {} for p in config.exposed_ports},
            "Volumes": {v: {} for v in config.volumes},
            "StopSignal": config.stop_signal,
        },
        "RootFS": {"Type": "layers", "Layers": [layer.diff_id for layer in image.layers]},
    }
