"""The images that builds start from, for the platform that is wanted."""

from __future__ import annotations

import tarfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from anyio import to_thread

from orchestrator.engine.images import Images
from orchestrator.errors import InvalidInput
from orchestrator.images.content import ContentStore
from orchestrator.images.manifest import Platform, host_platform
from orchestrator.images.pull import pull_image
from orchestrator.images.reference import parse_reference
from orchestrator.model.events import Report
from orchestrator.model.image import Image
from orchestrator.settings import Settings


class BaseImages:
    """Finds and pulls base images."""

    def __init__(self, images: Images, store: ContentStore, settings: Settings) -> None:
        self._images = images
        self._store = store
        self._settings = settings

    async def get(
        self, name: str, platform: Platform, report: Report, *, newest: bool = False
    ) -> Image:
        """The image of that name for the platform, pulled where it is not here, or where the
        `newest` is wanted.  Raises: what pulling raises."""
        found = None if newest else self._known(name, platform)
        if found is not None:
            return found
        if _same(platform, host_platform()):
            image = await self._images.ensure(name, "always", report)
            if _fits(image, platform):
                return image
        # Under no tag: the name here stays that of this machine's image.
        image = await pull_image(
            parse_reference(name), self._store, self._settings, str(platform), report
        )
        return self._images.register(replace(image, tags=()), ())

    def _known(self, name: str, platform: Platform) -> Image | None:
        image = self._images.find(name)
        if image is not None and _fits(image, platform):
            return image
        if image is not None and not name.startswith(("sha256:", "/")):
            repository = f"{parse_reference(name).name}@"
            for other in self._images.all():
                if _fits(other, platform) and any(d.startswith(repository) for d in other.digests):
                    return other
        return None

    async def from_layout(self, report: Report, place: str) -> Image:
        """The image in the OCI layout at PATH[:TAG].  Raises: InvalidInput: there is none."""
        path, _, tag = place.partition("@")[0].rpartition(":")
        directory = Path(path if path and "/" not in tag else place.partition("@")[0])
        if not (directory / "oci-layout").is_file():
            raise InvalidInput(
                f"{directory} is no OCI layout",
                code="context-invalid",
                about=str(directory),
                hint="name a directory that has a file oci-layout",
            )
        archive = self._store.scratch()
        try:
            await to_thread.run_sync(_pack, directory, archive)
            images = await self._images.load_archive(archive, report)
        finally:
            await to_thread.run_sync(self._store.discard, archive)
        return images[0]


def _same(one: Platform, other: Platform) -> bool:
    return (one.os, one.architecture) == (other.os, other.architecture)


def _fits(image: Image, platform: Platform) -> bool:
    """Whether the image is for the platform; one that says nothing is for all."""
    config = image.config
    return not config.architecture or _same(Platform(config.os, config.architecture), platform)


def _pack(directory: Path, archive: Path) -> None:
    with ExitStack() as stack:
        tar = stack.enter_context(tarfile.open(archive, "w"))
        for path in sorted(directory.rglob("*")):
            if path.is_file() and not path.is_symlink():
                tar.add(path, str(path.relative_to(directory)))
