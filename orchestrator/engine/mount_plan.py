"""What a container mounts: its own mounts, other containers', and its image's volumes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from orchestrator.errors import InvalidInput
from orchestrator.model.container import ContainerSpec, Mount
from orchestrator.model.image import Image
from orchestrator.model.observed import Container

_MODES = ("ro", "rw", "z", "Z", "nocopy")


def planned_mounts(
    spec: ContainerSpec,
    image: Image,
    *,
    container: Callable[[str], Container],
    found: Callable[[str], Image],
) -> list[Mount]:
    """Every mount, one at each place: the container's own win over those of `volumes_from`, and
    what the image declares gets a volume without a name where neither has anything.

    `container` and `found` look containers and images up.

    Raises: NotFound: no such container or image; InvalidInput: malformed.
    Source: Docker's reference, "docker container run", --volumes-from.
    """
    # Two of the container's own are told apart where they are read: the later one stays here.
    planned = {_place(m): m for m in spec.mounts}
    for text in spec.volumes_from:
        for mount in _inherited(text, container):
            planned.setdefault(_place(mount), mount)
    for volume in image.config.volumes:
        mount = Mount(kind="volume", target=volume)
        planned.setdefault(_place(mount), mount)
    return [_identified(m, found) for m in planned.values()]


def _place(mount: Mount) -> str:
    return mount.target.rstrip("/")


def _inherited(text: str, container: Callable[[str], Container]) -> Iterator[Mount]:
    name, _, mode = text.partition(":")
    modes = mode.split(",") if mode else []
    if not name or set(modes) - set(_MODES):
        raise InvalidInput(
            f"--volumes-from {text}: no such mode",
            code="volumes-from-invalid",
            about=text,
            hint="write NAME, NAME:ro or NAME:rw",
        )
    for mount in container(name).mounts:
        if mount.kind != "tmpfs":
            yield replace(mount, read_only=mount.read_only or "ro" in modes)


def _identified(mount: Mount, found: Callable[[str], Image]) -> Mount:
    if mount.kind != "image" or mount.image_id:
        return mount
    return replace(mount, image_id=found(mount.source).id)
