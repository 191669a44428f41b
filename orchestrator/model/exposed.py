"""Which ports a container publishes.  Source: Docker's reference, "docker container run", -P."""

from __future__ import annotations

from typing import cast

from orchestrator.model.container import ContainerSpec, PortBinding, Protocol
from orchestrator.model.image import ImageConfig


def exposed_ports(spec: ContainerSpec, image: ImageConfig) -> list[tuple[int, Protocol]]:
    """The ports that the image and the container expose, each once, in that order."""
    found = dict.fromkeys(
        port for text in (*image.exposed_ports, *spec.expose) for port in _ports(text)
    )
    return list(found)


def _ports(text: str) -> list[tuple[int, Protocol]]:
    numbers, _, protocol = text.partition("/")
    first, _, last = numbers.partition("-")
    kind = cast(Protocol, protocol.lower() or "tcp")
    return [(number, kind) for number in range(int(first), int(last or first) + 1)]


def published_ports(spec: ContainerSpec, image: ImageConfig) -> tuple[PortBinding, ...]:
    """The ports to publish: those asked for, and every exposed one with --publish-all."""
    if not spec.publish_all:
        return spec.ports
    taken = {(p.container_port, p.protocol) for p in spec.ports}
    more = (port for port in exposed_ports(spec, image) if port not in taken)
    return (*spec.ports, *(PortBinding(container_port=n, protocol=kind) for n, kind in more))
