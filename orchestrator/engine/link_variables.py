"""The variables that tell a container of those it is linked to on the default network. Pure.

Source: Docker's "Legacy container links", environment variables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from orchestrator.model.exposed import exposed_ports
from orchestrator.model.image import ImageConfig
from orchestrator.model.observed import Container

_DEFAULT = "bridge"
_NOT_TOLD = ("HOME", "PATH", "HOSTNAME", "TERM")


def link_variables(
    container: Container,
    find: Callable[[str], Container | None],
    image_of: Callable[[Container], ImageConfig],
) -> dict[str, str]:
    """Variables such as DB_PORT_5432_TCP_ADDR for each of the container's links there."""
    found: dict[str, str] = {}
    for attachment in container.spec.attachments:
        for link in attachment.links if attachment.network == _DEFAULT else ():
            name, _, alias = link.partition(":")
            if (other := find(name)) is not None:
                found |= _about(container, other, alias or name, image_of(other))
    return found


def _about(
    container: Container, other: Container, alias: str, image: ImageConfig
) -> Iterator[tuple[str, str]]:
    prefix = alias.upper().replace("-", "_")
    yield f"{prefix}_NAME", f"/{container.name}/{alias}"
    address = next((e.ipv4 for e in other.endpoints if e.network_name == _DEFAULT), "")
    for position, (port, protocol) in enumerate(sorted(exposed_ports(other.spec, image))):
        if position == 0:
            yield f"{prefix}_PORT", f"{protocol}://{address}:{port}"
        one = f"{prefix}_PORT_{port}_{protocol.upper()}"
        yield one, f"{protocol}://{address}:{port}"
        yield f"{one}_ADDR", address
        yield f"{one}_PORT", str(port)
        yield f"{one}_PROTO", protocol
    variables = dict(entry.partition("=")[::2] for entry in image.environment)
    variables.update(other.spec.environment)
    for name, value in variables.items():
        if name not in _NOT_TOLD:
            yield f"{prefix}_ENV_{name}", value
