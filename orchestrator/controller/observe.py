"""What is there of one stack, gathered from the engine's records into one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.model.image import Image
from orchestrator.model.observed import Container, Network, Volume
from orchestrator.model.stack import Stack
from orchestrator.state import labels
from orchestrator.state.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The real things of a stack.

    `containers` are the stack's own by name; `networks` and `volumes` all that the stack names or
    that carry its label, by name; `images` maps the references that the stack uses to image ids,
    without those that are not in the store.
    """

    containers: Mapping[str, Container] = field(default_factory=dict)
    networks: Mapping[str, Network] = field(default_factory=dict)
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)

    def of_service(self, service: str) -> list[Container]:
        """The service's containers, one-off ones left out, by number."""
        own = [
            c
            for c in self.containers.values()
            if c.spec.labels.get(labels.SERVICE) == service
            and c.spec.labels.get(labels.ONEOFF) != "True"
        ]
        return sorted(own, key=number_of)


def number_of(container: Container) -> int:
    """The container's number within its service, 0 where it has none."""
    text = container.spec.labels.get(labels.NUMBER, "")
    return int(text) if text.isdigit() else 0


class ImageFinder(Protocol):
    """What observing needs of the image store."""

    def find(self, text: str) -> Image | None: ...


def observe(stack: Stack, database: Database, images: ImageFinder) -> Observed:
    """What is there of the stack now."""
    own = (c for c in database.containers if c.spec.labels.get(labels.PROJECT) == stack.name)
    network_names = {n.name for n in stack.networks}
    volume_names = {v.name for v in stack.volumes}
    found = {s.container.image: images.find(s.container.image) for s in stack.services}
    return Observed(
        containers={c.name: c for c in own},
        networks={
            n.name: n
            for n in database.networks
            if n.name in network_names or n.labels.get(labels.PROJECT) == stack.name
        },
        volumes={
            v.name: v
            for v in database.volumes
            if v.name in volume_names or v.labels.get(labels.PROJECT) == stack.name
        },
        images={reference: image.id for reference, image in found.items() if image is not None},
    )
