"""Images as Docker's JSON.

Source: the Docker Engine API reference, version 1.45 (field names and meanings).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from orchestrator.model.image import History, Image
from orchestrator.wire.times import timestamp

_MISSING = "<missing>"
# What a container configuration has; an image's is one with the values it leaves open.
_CONFIG: Mapping[str, Any] = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": None,
    "Cmd": None,
    "Image": "",
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "OnBuild": None,
    "Labels": None,
}


def image_summary(
    image: Image,
    *,
    containers: int = -1,
    shared_bytes: int = -1,
    tags: Sequence[str] | None = None,
    digests: Sequence[str] | None = None,
) -> dict[str, Any]:
    """An entry of GET /images/json; -1 where a number was not asked for, `tags` and `digests`
    those to be shown where not all are."""
    return {
        "Id": image.id,
        "ParentId": "",
        "RepoTags": [familiar(tag) for tag in (image.tags if tags is None else tags)],
        "RepoDigests": [familiar(name) for name in (image.digests if digests is None else digests)],
        "Created": int(image.created_at),
        "Size": image.size_bytes,
        "SharedSize": shared_bytes,
        "VirtualSize": image.size_bytes,
        "Labels": dict(image.config.labels) or None,
        "Containers": containers,
    }


def image_inspect(
    image: Image, document: Mapping[str, Any], lowers: Sequence[str]
) -> dict[str, Any]:
    """The body of GET /images/{name}/json. `document` is the image's configuration as it is
    stored, `lowers` are its layers' directories, topmost first."""
    config = image.config
    given = document.get("config")
    shown: dict[str, Any] = {
        "Id": image.id,
        "RepoTags": [familiar(tag) for tag in image.tags],
        "RepoDigests": [familiar(name) for name in image.digests],
        "Parent": "",
        "Comment": str(document.get("comment") or _comment(image)),
        "Created": config.created,
        "Container": "",
        "DockerVersion": str(document.get("docker_version") or ""),
        "Author": config.author,
        "Config": {**_CONFIG, **(given if isinstance(given, dict) else {})},
        # Of the container that an old builder left; docker-compose 1 looks for its volumes.
        "ContainerConfig": {**_CONFIG, **(given if isinstance(given, dict) else {})},
        "Architecture": config.architecture,
        "Os": config.os,
        "Size": image.size_bytes,
        "VirtualSize": image.size_bytes,
        "GraphDriver": {"Name": "overlay2", "Data": _directories(lowers)},
        "RootFS": {"Type": "layers", "Layers": [layer.diff_id for layer in image.layers]},
        "Metadata": {"LastTagTime": timestamp(image.tagged_at)},
    }
    if config.variant:
        shown["Variant"] = config.variant
    if version := document.get("os.version"):
        shown["OsVersion"] = str(version)
    return shown


def image_history(image: Image) -> list[dict[str, Any]]:
    """The body of GET /images/{name}/history, newest first; a layer that the history does not
    tell of has a line of its own."""
    layers = [layer.size_bytes for layer in image.layers]
    told = sum(not line.empty for line in image.history)
    lines = [*image.history, *[History()] * (len(layers) - told)]
    sizes = iter(layers)
    shown: list[dict[str, Any]] = [
        {
            "Id": _MISSING,
            "Created": _seconds(line.created),
            "CreatedBy": line.created_by,
            "Tags": None,
            "Size": 0 if line.empty else next(sizes, 0),
            "Comment": line.comment,
        }
        for line in lines
    ]
    shown.reverse()
    if shown:
        shown[0] |= {"Id": image.id, "Tags": [familiar(tag) for tag in image.tags] or None}
    return shown


def familiar(reference: str) -> str:
    """A full reference as people and Docker's API write it: without Docker Hub's host and, where
    nothing else is before the name, its `library/`."""
    short = reference.removeprefix("docker.io/")
    if short == reference:
        return reference
    inner = short.removeprefix("library/")
    return short if "/" in inner.partition("@")[0] else inner


def _comment(image: Image) -> str:
    return image.history[-1].comment if image.history else ""


def _directories(lowers: Sequence[str]) -> dict[str, str] | None:
    if not lowers:
        return None
    below = {"LowerDir": ":".join(lowers[1:])} if len(lowers) > 1 else {}
    return {**below, "UpperDir": lowers[0]}


def _seconds(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError):
        return 0
