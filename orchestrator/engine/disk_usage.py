"""How much room images, containers, volumes and the build cache take, and what of it can go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.aio.trees import tree_bytes
from orchestrator.engine.build_storage import BuildStorage, CacheUsage
from orchestrator.engine.containers import Containers
from orchestrator.engine.images import Images
from orchestrator.engine.volumes import Volumes
from orchestrator.model.image import Image
from orchestrator.model.observed import Container, Volume
from orchestrator.wire.container_list import Sizes

_WIDTH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageUsage:
    """An image: the bytes of its layers that other images have too, and how many containers are
    made from it."""

    image: Image
    shared_bytes: int
    containers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeUsage:
    """A volume: the bytes of its files, and how many containers mount it."""

    volume: Volume
    size_bytes: int
    containers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskReport:
    """What takes room. `layers_bytes` counts each layer of any image once; of it,
    `layers_reclaimable_bytes` is in images that no container uses."""

    layers_bytes: int = 0
    layers_reclaimable_bytes: int = 0
    images: tuple[ImageUsage, ...] = ()
    containers: tuple[tuple[Container, Sizes], ...] = ()
    volumes: tuple[VolumeUsage, ...] = ()
    build_cache: CacheUsage = field(default_factory=CacheUsage)


KINDS = ("image", "container", "volume", "build-cache")


class DiskUsage:
    """Measures; `files` tells the directory of a container's own files."""

    def __init__(
        self,
        images: Images,
        containers: Containers,
        volumes: Volumes,
        builds: BuildStorage,
        files: Callable[[str], Path],
    ) -> None:
        self._images = images
        self._containers = containers
        self._volumes = volumes
        self._builds = builds
        self._files = files
        self._limiter = anyio.CapacityLimiter(_WIDTH)

    async def container_sizes(self, containers: Iterable[Container]) -> dict[str, Sizes]:
        """Each container's sizes by its id: what it has written, and that with its image."""
        found: dict[str, Sizes] = {}

        async def measure(container: Container) -> None:
            written = await self._tree_bytes(self._files(container.id) / "upper")
            image = self._images.find(container.image_id)
            found[container.id] = Sizes(written, written + (image.size_bytes if image else 0))

        async with anyio.create_task_group() as tasks:
            for container in containers:
                tasks.start_soon(measure, container)
        return found

    async def report(self, kinds: Collection[str] = KINDS) -> DiskReport:
        """What takes room, of these kinds only."""
        used = Counter(container.image_id for container in self._containers.all())
        images = self._images.all()
        return DiskReport(
            layers_bytes=_bytes_of(images),
            layers_reclaimable_bytes=_bytes_of(images)
            - _bytes_of(image for image in images if used[image.id]),
            images=tuple(_usages(images, used)) if "image" in kinds else (),
            containers=await self._all_containers() if "container" in kinds else (),
            volumes=await self._all_volumes() if "volume" in kinds else (),
            build_cache=await self._builds.usage() if "build-cache" in kinds else CacheUsage(),
        )

    async def volume_size(self, volume: Volume) -> int:
        """The bytes of a volume's files."""
        return await self._tree_bytes(Path(volume.mountpoint))

    async def _all_containers(self) -> tuple[tuple[Container, Sizes], ...]:
        containers = self._containers.all()
        sizes = await self.container_sizes(containers)
        return tuple((container, sizes[container.id]) for container in containers)

    async def _all_volumes(self) -> tuple[VolumeUsage, ...]:
        found: dict[str, VolumeUsage] = {}

        async def measure(volume: Volume) -> None:
            found[volume.name] = VolumeUsage(
                volume=volume,
                size_bytes=await self.volume_size(volume),
                containers=len(self._volumes.users(volume.name)),
            )

        volumes = self._volumes.all()
        async with anyio.create_task_group() as tasks:
            for volume in volumes:
                tasks.start_soon(measure, volume)
        return tuple(found[volume.name] for volume in volumes)

    async def _tree_bytes(self, root: Path) -> int:
        return await to_thread.run_sync(partial(tree_bytes, root), limiter=self._limiter)


def shared_bytes(images: Iterable[Image]) -> dict[str, int]:
    """For each image's id the bytes of its layers that another of the images has too."""
    images = list(images)
    count = Counter(chain for image in images for chain in {la.chain_id for la in image.layers})
    return {
        image.id: sum(layer.size_bytes for layer in image.layers if count[layer.chain_id] > 1)
        for image in images
    }


def _usages(images: Iterable[Image], used: Counter[str]) -> Iterable[ImageUsage]:
    images = list(images)
    shared = shared_bytes(images)
    for image in images:
        yield ImageUsage(image=image, shared_bytes=shared[image.id], containers=used[image.id])


def _bytes_of(images: Iterable[Image]) -> int:
    """The bytes of the images' layers, each layer counted once."""
    layers = {layer.chain_id: layer.size_bytes for image in images for layer in image.layers}
    return sum(layers.values())
