"""Containers as entries of Docker's list.

Source: the Docker Engine API reference, version 1.45, "ContainerList" (field names and meanings).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from orchestrator.model.ages import ago
from orchestrator.model.image import Image
from orchestrator.model.observed import Container, Volume
from orchestrator.model.process import process_args
from orchestrator.wire.endpoints import endpoints_shown
from orchestrator.wire.hostconfig import network_mode
from orchestrator.wire.mounts import mount_point


class Sizes(NamedTuple):
    """Bytes that a container has written, and those of its whole file system."""

    written: int
    whole: int


def container_summary(
    container: Container,
    image: Image | None,
    *,
    volumes: Mapping[str, Volume] | None = None,
    sizes: Sizes | None = None,
    network_ids: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """An entry of GET /containers/json; `volumes` are by name, and so are the ids of networks."""
    shown = {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": container.spec.image,
        "ImageID": container.image_id,
        "Command": _command(process_args(container.spec, image.config if image else None)),
        "Created": int(container.created_at),
        "Ports": list(_ports(container, image)),
    }
    if sizes is not None:
        shown |= {"SizeRw": sizes.written, "SizeRootFs": sizes.whole}
    return shown | {
        "Labels": labels_of(container, image),
        "State": container.state.status,
        "Status": status_text(container, time.time()),
        "HostConfig": {"NetworkMode": network_mode(container.spec)},
        "NetworkSettings": {"Networks": endpoints_shown(container, network_ids or {})},
        "Mounts": [mount_point(mount, volumes or {}) for mount in container.mounts],
    }


def labels_of(container: Container, image: Image | None) -> dict[str, str]:
    """The image's labels under the container's own."""
    return {**(image.config.labels if image else {}), **container.spec.labels}


def exposed_ports(container: Container, image: Image | None) -> frozenset[str]:
    """Every port that is exposed or published, as `80/tcp`."""
    of_image: Iterable[str] = image.config.exposed_ports if image else ()
    exposed = (_with_protocol(text) for text in (*of_image, *container.spec.expose))
    published = (*container.spec.ports, *container.ports)
    inside = (f"{p.container_port}/{p.protocol}" for p in published)
    return frozenset((*exposed, *inside))


def published_at(container: Container) -> frozenset[str]:
    """The host's ports that lead to the container while it runs, as `8080/tcp`."""
    ports = container.ports if container.running else ()
    return frozenset(f"{p.host_port}/{p.protocol}" for p in ports)


def _ports(container: Container, image: Image | None) -> Iterator[dict[str, Any]]:
    """Published ports of a container that runs, then those that are exposed only."""
    if not container.running:
        return
    for port in container.ports:
        inside = {"PrivatePort": port.container_port}
        # No address means every one, of both families.
        for address in (port.host_ip,) if port.host_ip else ("0.0.0.0", "::"):
            public = {"PublicPort": port.host_port, "Type": port.protocol}
            yield {"IP": address, **inside, **public}
    bound = {f"{p.container_port}/{p.protocol}" for p in container.ports}
    for text in sorted(exposed_ports(container, image) - bound):
        number, _, protocol = text.partition("/")
        if number.isdigit():
            yield {"PrivatePort": int(number), "Type": protocol}


def _command(args: Sequence[str]) -> str:
    """The command on one line: arguments after the first are in quotes where they have spaces."""
    quoted = (f"'{arg}'" if " " in arg and "'" not in arg else arg for arg in args[1:])
    return " ".join((*args[:1], *quoted))


def _with_protocol(text: str) -> str:
    return text if "/" in text else f"{text}/tcp"


def status_text(container: Container, now: float) -> str:
    """How long it has been so, as `docker ps` says it: `Up 5 minutes (healthy)`."""
    state = container.state
    since, ended = now - state.started_at, now - state.finished_at
    health = {"none": "", "starting": " (health: starting)"}.get(state.health, f" ({state.health})")
    texts = {
        "running": f"Up {ago(since)}{health}",
        "paused": f"Up {ago(since)} (Paused)",
        "exited": f"Exited ({state.exit_code}) {ago(ended)} ago",
        "restarting": f"Restarting ({state.exit_code}) {ago(ended)} ago",
        "removing": "Removal In Progress",
        "dead": "Dead",
    }
    return texts.get(state.status, "Created")
