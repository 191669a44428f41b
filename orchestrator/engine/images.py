"""Operations on images: bringing in by pull, naming, removing, pruning.

Bytes are `images`'. An image that lost its last tag stays until it is removed or pruned, as
containers may need it.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio

from orchestrator.engine import image_removal
from orchestrator.engine.image_content import Freed, ImageContent
from orchestrator.engine.image_filters import Listed, listed, unused
from orchestrator.engine.image_records import (
    ImageRecords,
    is_id,
    no_such_image,
    shown_name,
    taggable,
)
from orchestrator.errors import Failed
from orchestrator.images.archive import load_archive
from orchestrator.images.archive_file import Limits
from orchestrator.images.content import ContentStore
from orchestrator.images.pull import pull_image
from orchestrator.images.reference import parse_reference
from orchestrator.model.events import Event, Report
from orchestrator.model.ids import short_id
from orchestrator.model.image import Image
from orchestrator.model.stack import PullPolicy
from orchestrator.settings import Settings
from orchestrator.state.database import Database
from orchestrator.wire.credentials import Credentials
from orchestrator.wire.filters import Filters


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What removing images came to: the tags and digests taken off in full, the ids of the images
    gone, the chain ids of their layers freed (topmost first), and the bytes these held."""

    untagged: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    size_bytes: int = 0


class Images:
    """Every image of this engine."""

    def __init__(
        self,
        database: Database,
        store: ContentStore,
        settings: Settings,
        emit: Callable[[Event], None],
    ) -> None:
        self._store = store
        self._settings = settings
        self.records = ImageRecords(database, emit)
        self._content = ImageContent(database, store, self.records.drop_unused_retired)
        self._downloads = anyio.CapacityLimiter(max(1, settings.max_downloads))

    # -- looking

    def all(self) -> Sequence[Image]:
        """Every image, the newest first."""
        return self.records.all()

    def listed(self, filters: Filters) -> list[Listed]:
        """The images that pass, the newest first, with the names that do.

        Raises: InvalidInput: a filter has a wrong value. NotFound: before or since name no image.
        """
        return listed(self.records.all(), filters, self.records.get)

    def find(self, text: str) -> Image | None:
        """The image that a reference, an id, or an unambiguous beginning of one names."""
        return self.records.find(text)

    def get(self, text: str) -> Image:
        """The image that text names.

        Raises: NotFound: there is none here. InvalidInput: several ids begin so.
        """
        return self.records.get(text)

    def lowers(self, image: Image) -> list[Path]:
        """The image's layer directories, topmost first, as an overlay mount takes them."""
        return self._store.lowers(image.layers)

    def document(self, image: Image) -> Mapping[str, Any]:
        """The image's configuration as it was written; empty where it is damaged. Blocking."""
        try:
            found = json.loads(self._store.read_blob(image.id))
        except (Failed, OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    # -- bringing in

    async def ensure(self, text: str, policy: PullPolicy, report: Report) -> Image:
        """The image, pulled if the policy wants it: `missing` when it is not here, `always` in any
        case, `never` and `build` not at all.

        Raises: NotFound, Denied, Unavailable, Failed, InvalidInput.
        """
        if policy in ("never", "build") or is_id(text):
            return self.get(text)
        if policy == "missing" and (found := self.find(text)):
            return found
        # Twenty services of one image ask the registry once.
        async with self._store.exclusive(f"ensure {text}"):
            if policy == "missing" and (found := self.find(text)):
                return found
            return await self.pull(text, report)

    async def pull(
        self,
        text: str,
        report: Report,
        platform: str = "",
        credentials: Credentials | None = None,
    ) -> Image:
        """The image as its registry has it now, recorded under its reference; `credentials` go
        before those of the engine's user.

        Raises: NotFound, Denied, Unavailable, Failed, InvalidInput.
        """
        reference = parse_reference(text)
        async with self.holding():
            image = await pull_image(
                reference,
                self._store,
                self._settings,
                platform,
                report,
                self._downloads,
                credentials,
            )
            image = self.register(replace(image, pulled_at=time.time()), image.tags)
        self.records.tell("pull", image, reference.familiar)
        return image

    async def load_archive(
        self, source: Path | AsyncIterator[bytes], report: Report
    ) -> Sequence[Image]:
        """The images of a docker-archive or oci-archive, recorded, each with the tags that the
        archive gives it and no others.

        Raises: InvalidInput: it is no image archive. Failed: it is damaged, or too large.
        """
        limits = Limits(self._settings.max_archive_bytes, self._settings.max_layer_bytes)
        async with self.holding():
            found = await load_archive(source, self._store, report, limits)
            for image in found:
                self.register(image, image.tags)
        for image in found:
            self.records.tell("load", image, shown_name(image) or short_id(image.id))
        return found

    def register(self, image: Image, tags: Iterable[str]) -> Image:
        """The image's record, with these tags besides those it had; whichever image had them
        before has lost them."""
        return self.records.register(image, tags)

    # -- naming and removing

    def tag(self, source: str, target: str) -> Image:
        """The image source, which now has the tag target too.

        Raises: NotFound: there is no source. InvalidInput: target is no reference with a tag.
        """
        image = self.get(source)
        reference = taggable(target)
        image = self.register(image, (str(reference),))
        self.records.tell("tag", image, reference.familiar)
        return image

    async def remove(self, text: str, *, force: bool = False) -> Removed:
        """What went: the name that text is, and with the last name the image and its unshared
        content; an id stands for all names. With force an image that only stopped containers use
        goes, yet its content stays until they are removed.

        Raises: NotFound: there is none. Conflict: a container uses it, or an id has several names.
        InvalidInput: several ids begin so.
        """
        image = self.get(text)
        if image.retired:
            raise no_such_image(text)
        users = self.records.users(image)
        if reference := self.records.reference_of(image, text):
            removal = image_removal.by_reference(image, reference, users, force=force)
        else:
            removal = image_removal.by_id(image, users, force=force)
        self._apply(image, removal)
        if not removal.image:
            return Removed(untagged=removal.references)
        return _removed([(image, removal)], await self._content.collect())

    async def prune(self, filters: Filters | None = None) -> Removed:
        """What went: the images without a tag (with the filter dangling=false every image) that no
        container uses and that pass the filters until, label and label!.

        Raises: InvalidInput: a filter has a wrong value.
        """
        gone: list[tuple[Image, image_removal.Removal]] = []
        for image in unused(self.records.all(), filters or Filters({}), self.records.users):
            removal = image_removal.Removal((*image.tags, *image.digests), image=True)
            self._apply(image, removal)
            gone.append((image, removal))
        await self._content.forget_partial()
        return _removed(gone, await self._content.collect())

    async def release(self, image_id: str) -> None:
        """Nothing, once an image that was removed while a container used it has followed its last
        container. For when a container is gone."""
        image = self.find(image_id)
        if image is not None and image.retired and not self.records.users(image):
            await self.collect()

    def _apply(self, image: Image, removal: image_removal.Removal) -> None:
        left = self.records.without(image, removal.references)
        if removal.image:
            self.records.delete(left)

    # -- content that nobody needs

    def holding(self) -> AbstractAsyncContextManager[None]:
        """A block in which no content is freed: what is found in the store, or put there, stays
        until it is in a record. Pulls and builds are such blocks."""
        return self._content.holding()

    async def collect(self) -> int:
        """The bytes of the layers freed: every layer and blob that no image and no build step
        needs is gone. While somebody holds content it is put off, and 0."""
        return (await self._content.collect()).size_bytes

    async def recover(self) -> None:
        """Nothing, once what a killed engine left is mended: for the engine's start."""
        await anyio.to_thread.run_sync(self._store.recover)
        self.records.mend()
        await self.collect()


def _removed(gone: Sequence[tuple[Image, image_removal.Removal]], freed: Freed) -> Removed:
    layers = [layer.chain_id for image, _ in gone for layer in reversed(image.layers)]
    return Removed(
        untagged=tuple(name for _, removal in gone for name in removal.references),
        deleted=tuple(image.id for image, _ in gone),
        layers=tuple(chain for chain in dict.fromkeys(layers) if chain in freed.layers),
        size_bytes=freed.size_bytes,
    )
