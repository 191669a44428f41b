"""Operations on images: the records, the tags, and which content is still needed.

Bytes are `images`'. A tag is on one image at a time; an image that lost its last tag stays until
it is removed or pruned, as containers may need it.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import anyio
import anyio.to_thread

from orchestrator.errors import Conflict, InvalidInput, NotFound
from orchestrator.images import archive
from orchestrator.images.built import adopt_layer, write_image
from orchestrator.images.content import ContentStore
from orchestrator.images.layers import unpack_tree
from orchestrator.images.manifest import host_platform
from orchestrator.images.pull import pull_image
from orchestrator.images.reference import Reference, parse_reference
from orchestrator.model.events import Event, Report
from orchestrator.model.ids import short_id
from orchestrator.model.image import History, Image, ImageConfig
from orchestrator.model.stack import PullPolicy
from orchestrator.settings import Settings
from orchestrator.state.database import Database

_ID = re.compile(r"sha256:[0-9a-f]{64}|[0-9a-f]{64}")
_ID_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{2,64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What removing an image came to: the tags taken off, the ids of the images gone."""

    untagged: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()


class Images:
    """Every image of this engine."""

    def __init__(
        self,
        database: Database,
        store: ContentStore,
        settings: Settings,
        emit: Callable[[Event], None],
    ) -> None:
        self._database = database
        self._store = store
        self._settings = settings
        self._emit = emit
        self._downloads = anyio.CapacityLimiter(max(1, settings.max_downloads))
        self._holds = 0
        self._collect_later = False

    # -- looking

    def all(self) -> Sequence[Image]:
        """Every image, the newest first."""
        return sorted(self._database.images, key=lambda image: (-image.created_at, image.id))

    def find(self, text: str) -> Image | None:
        """The image that a reference, an id, or an unambiguous beginning of one names."""
        if found := self._by_id(text):
            return found
        try:
            reference = parse_reference(text)
        except InvalidInput:
            reference = None
        if reference and (found := self._by_reference(reference)):
            return found
        if match := _ID_PREFIX.fullmatch(text):
            candidates = self._database.images.starting("sha256:" + match[1])
            if len(candidates) == 1:
                return candidates[0]
        return None

    def get(self, text: str) -> Image:
        """The image that text names.

        Raises: NotFound: there is none here.
        """
        if found := self.find(text):
            return found
        hint = "`pystack images` lists what is here"
        if not _ID.fullmatch(text):
            hint = f"get it with: pystack pull {text}"
        raise NotFound(f"no image {text} here", code="no-such-image", about=text, hint=hint)

    def lowers(self, image: Image) -> list[Path]:
        """The image's layer directories, topmost first, as an overlay mount takes them."""
        return self._store.lowers(image.layers)

    # -- bringing in

    async def ensure(self, text: str, policy: PullPolicy, report: Report) -> Image:
        """The image, pulled if the policy wants it: `missing` when it is not here, `always` in any
        case, `never` and `build` not at all.

        Raises: NotFound, Denied, Unavailable, Failed, InvalidInput.
        """
        if policy in ("never", "build") or _ID.fullmatch(text):
            return self.get(text)
        if policy == "missing" and (found := self.find(text)):
            return found
        # Twenty services of one image ask the registry once.
        async with self._store.exclusive(f"ensure {text}"):
            if policy == "missing" and (found := self.find(text)):
                return found
            return await self.pull(text, report)

    async def pull(self, text: str, report: Report, platform: str = "") -> Image:
        """The image as its registry has it now, recorded under its reference.

        Raises: NotFound, Denied, Unavailable, Failed, InvalidInput.
        """
        reference = parse_reference(text)
        async with self.holding():
            image = await pull_image(
                reference, self._store, self._settings, platform, report, self._downloads
            )
            image = self.register(image, image.tags)
        self._tell("pull", image, reference.familiar)
        return image

    async def load_archive(
        self, source: Path | AsyncIterator[bytes], report: Report
    ) -> Sequence[Image]:
        """The images of a docker-archive or oci-archive, recorded under the tags it gives them.

        Raises: InvalidInput: it is no image archive. Failed: it is damaged.
        """
        async with self.holding():
            found = await archive.load_archive(
                source, self._store, report, self._settings.max_layer_bytes
            )
            images = [self.register(image, image.tags) for image in found]
        for image in images:
            self._tell("load", image, _name(image))
        return images

    async def import_rootfs_tar(
        self, stream: AsyncIterator[bytes], tag: str, config: ImageConfig | None = None
    ) -> Image:
        """A new image of one layer, from the tar (plain, gzip or zstd) of a root file system;
        where config is silent, it is for this machine and was created now.

        Raises: InvalidInput: tag is no reference. Failed: the tar is damaged.
        """
        reference = _taggable(tag)
        created = datetime.now(UTC).isoformat(timespec="microseconds")
        config = config or ImageConfig()
        machine = host_platform()
        config = replace(
            config,
            created=config.created or created,
            architecture=config.architecture or machine.architecture,
            variant=config.variant if config.architecture else machine.variant,
        )
        async with self.holding():
            tree = await unpack_tree(self._store, stream, max_bytes=self._settings.max_layer_bytes)
            layer = await adopt_layer(self._store, tree, "")
            note = History(created=config.created, comment="imported from a tar")
            image = await write_image(self._store, config, [layer], [note])
            image = self.register(image, (str(reference),))
        self._tell("import", image, reference.familiar)
        return image

    def register(self, image: Image, tags: Iterable[str]) -> Image:
        """The image's record, with these tags besides those it had; whichever image had them
        before has lost them."""
        known = self._database.images.get(image.id)
        tags = tuple(str(_taggable(tag)) for tag in tags)
        image = replace(
            image,
            tags=_joined(known.tags if known else (), tags),
            digests=_joined(known.digests if known else (), image.digests),
        )
        # The new record first: a kill between the two leaves a tag twice, which `recover` mends,
        # and never a tag lost.
        self._database.images.put(image)
        for other in self._database.images:
            if other.id != image.id and not set(tags).isdisjoint(other.tags):
                kept = tuple(tag for tag in other.tags if tag not in tags)
                self._database.images.put(replace(other, tags=kept))
        return image

    # -- tags and removal

    def tag(self, source: str, target: str) -> Image:
        """The image source, which now has the tag target too.

        Raises: NotFound: there is no source. InvalidInput: target is no reference with a tag.
        """
        image = self.get(source)
        reference = _taggable(target)
        image = self.register(image, (str(reference),))
        self._tell("tag", image, reference.familiar)
        return image

    async def remove(self, text: str, force: bool = False) -> Removed:
        """What went: the tag that text names, and the image and its unshared content with its last
        tag; an id names all tags. With force an image in use loses its tags, and goes when its
        last container does.

        Raises: NotFound: there is none. Conflict: a container uses it, or an id has several tags.
        """
        image = self.get(text)
        tags = self._named_tags(image, text)
        if tags != image.tags:
            return self._untag(image, tags)
        by_id = _ID_PREFIX.fullmatch(text) is not None
        if by_id and len(tags) > 1 and not force:
            raise Conflict(
                f"image {text} has {len(tags)} tags: {', '.join(tags)}",
                code="image-has-tags",
                about=text,
                hint="remove the tags one by one, or use --force",
            )
        if self._users(image):
            if not force:
                raise self._in_use(image, text)
            return self._untag(image, tags)
        removed = self._untag(image, tags)
        self._database.images.delete(image.id)
        self._tell("delete", image, image.id)
        await self.collect()
        return replace(removed, deleted=(image.id,))

    async def prune(self, *, tagged: bool = False) -> tuple[Removed, int]:
        """What went, and the bytes its layers held: images without a tag, with `tagged` every
        image, that no container uses."""
        gone = [
            image
            for image in self._database.images
            if (tagged or not image.tags) and not self._users(image)
        ]
        untagged = [tag for image in gone for tag in self._untag(image, image.tags).untagged]
        for image in gone:
            self._database.images.delete(image.id)
            self._tell("delete", image, image.id)
        freed = await self.collect()
        return Removed(untagged=tuple(untagged), deleted=tuple(i.id for i in gone)), freed

    # -- content that nobody needs

    @asynccontextmanager
    async def holding(self) -> AsyncGenerator[None]:
        """A block in which no content is freed: what is found in the store, or put there, stays
        until it is in a record. Pulls and builds are such blocks."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            if self._collect_later and not self._holds:
                with anyio.CancelScope(shield=True):
                    await self.collect()

    async def collect(self) -> int:
        """The bytes of the layers freed: every layer and blob that no image and no build step
        needs is gone. While somebody holds content it is put off, and 0."""
        layers, blobs = await anyio.to_thread.run_sync(
            lambda: (self._store.layers(), self._store.blobs())
        )
        if self._holds:
            self._collect_later = True
            return 0
        self._collect_later = False
        # No await between deciding and hiding, so nobody can find a layer that is about to go.
        images = list(self._database.images)
        needed = {layer.chain_id for image in images for layer in image.layers}
        needed |= {step.layer.chain_id for step in self._database.build_cache if step.layer}
        kept = {image.id for image in images} | {image.manifest_digest for image in images}
        kept |= {layer.blob.digest for image in images for layer in image.layers}
        kept |= {layer.blob.digest for layer in layers if layer.chain_id in needed}
        unused = [layer for layer in layers if layer.chain_id not in needed]
        trash = [self._store.retire_layer(layer.chain_id) for layer in unused]
        for digest in blobs:
            if digest not in kept:
                self._store.remove_blob(digest)
        for path in trash:
            await anyio.to_thread.run_sync(self._store.discard, path)
        return sum(layer.size_bytes for layer in unused)

    async def recover(self) -> None:
        """Nothing, once what a killed engine left is mended: for the engine's start."""
        await anyio.to_thread.run_sync(self._store.recover)
        seen: set[str] = set()
        for image in self.all():
            if not seen.isdisjoint(image.tags):
                kept = tuple(tag for tag in image.tags if tag not in seen)
                self._database.images.put(replace(image, tags=kept))
            seen |= set(image.tags)
        await self.collect()

    # -- within

    def _by_id(self, text: str) -> Image | None:
        if not _ID.fullmatch(text):
            return None
        return self._database.images.get("sha256:" + text.removeprefix("sha256:"))

    def _by_reference(self, reference: Reference) -> Image | None:
        if reference.digest:
            pinned = str(reference.with_digest(reference.digest))
            return next((i for i in self._database.images if pinned in i.digests), None)
        full = str(reference)
        return next((i for i in self._database.images if full in i.tags), None)

    def _named_tags(self, image: Image, text: str) -> tuple[str, ...]:
        """The tags that text stands for: one where it is that tag, else all of them."""
        try:
            full = str(parse_reference(text))
        except InvalidInput:
            return image.tags
        return (full,) if full in image.tags else image.tags

    def _untag(self, image: Image, tags: Iterable[str]) -> Removed:
        gone = tuple(tags)
        kept = tuple(tag for tag in image.tags if tag not in gone)
        self._database.images.put(replace(image, tags=kept))
        for tag in gone:
            self._tell("untag", image, parse_reference(tag).familiar)
        return Removed(untagged=gone)

    def _users(self, image: Image) -> list[str]:
        return sorted(c.name for c in self._database.containers if c.image_id == image.id)

    def _in_use(self, image: Image, text: str) -> Conflict:
        users = self._users(image)
        return Conflict(
            f"image {text} is used by {', '.join(users[:5])}{' and others' * (len(users) > 5)}",
            code="image-in-use",
            about=text,
            hint="remove the containers first, or use --force to take off its tags only",
        )

    def _tell(self, action: str, image: Image, name: str) -> None:
        attributes = {"name": name, **image.config.labels}
        self._emit(
            Event(type="image", action=action, id=image.id, time=time.time(), attributes=attributes)
        )


def _taggable(text: str) -> Reference:
    reference = parse_reference(text)
    if reference.digest:
        raise InvalidInput(
            f'"{text}" has a digest, which nobody can choose',
            code="image-reference-invalid",
            about=text,
            hint="write it as NAME:TAG",
        )
    return reference


def _joined(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def _name(image: Image) -> str:
    return parse_reference(image.tags[0]).familiar if image.tags else short_id(image.id)
