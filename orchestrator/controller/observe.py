"""Looking: what is there of one stack, gathered from the engine's records."""

from __future__ import annotations

from typing import Protocol

from orchestrator.controller.observed import Observed
from orchestrator.model.image import Image
from orchestrator.model.stack import Stack
from orchestrator.state import labels
from orchestrator.state.database import Database


class ImageFinder(Protocol):
    """What observing needs of the image store."""

    def find(self, text: str) -> Image | None: ...


def version(name: str, database: Database) -> tuple[int, ...]:
    """What is another whenever `observe` may find something else of the stack of that name."""
    shared = (database.networks, database.volumes, database.images)
    return (database.containers.version_of(name), *(records.version for records in shared))


def observe(stack: Stack, database: Database, images: ImageFinder, now: float) -> Observed:
    """What is there of the stack now."""
    network_names = {n.name for n in stack.networks}
    volume_names = {v.name for v in stack.volumes}
    found = {s.container.image: images.find(s.container.image) for s in stack.services}
    return Observed(
        containers={c.name: c for c in database.containers.in_group(stack.name)},
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
        now=now,
    )
