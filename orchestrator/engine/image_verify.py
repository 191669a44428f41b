"""Whether images are stored whole, and mending those that are not.

A layer's directory is made again from its blob; a blob that is damaged is pulled again. What a
container runs from is never changed under it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from orchestrator.engine.image_records import shown_name
from orchestrator.engine.images import Images
from orchestrator.errors import PystackError
from orchestrator.images.content import ContentStore, LayerRecord
from orchestrator.images.verify import blob_is_whole, is_reproducible, looked_at
from orchestrator.model.events import Progress, Report
from orchestrator.model.ids import short_id
from orchestrator.model.image import Image, Layer
from orchestrator.settings import Settings
from orchestrator.state.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Something that is not what its name says: `what` in words, whether it was mended, and where
    not, why."""

    what: str
    digest: str
    images: tuple[str, ...]
    mended: bool
    why: str = ""


class ImageVerifier:
    """Looks at what is stored, and mends it."""

    def __init__(
        self, database: Database, images: Images, store: ContentStore, settings: Settings
    ) -> None:
        self._database = database
        self._images = images
        self._store = store
        self._max_layer_bytes = settings.max_layer_bytes

    async def verify(self, names: Sequence[str], report: Report) -> tuple[int, list[Damage]]:
        """How many images were looked at (all where none is named), and what was damaged.

        Raises: NotFound: there is none of a name.
        """
        chosen = [self._images.get(name) for name in names] or list(self._images.all())
        found: list[Damage] = []
        seen: set[str] = set()
        async with self._images.holding():
            for image in chosen:
                subject = f"image {_name(image)}"
                report(Progress(subject=subject, step="verifying"))
                before = len(found)
                found += await self._image(image, seen, report)
                step = "damaged" if len(found) > before else "verified"
                report(Progress(subject=subject, step=step, done=True))
            if not names:
                found += await self._cached(seen)
        if found:
            # A forgotten step's layer must be gone, or the next build would find it.
            await self._images.collect()
        return len(chosen), found

    async def _cached(self, seen: set[str]) -> list[Damage]:
        """What of the build cache alone is damaged; its steps are forgotten, so that the next
        build does them again."""
        found: list[Damage] = []
        for step in list(self._database.build_cache):
            layer = step.layer
            if layer is None or layer.chain_id in seen:
                continue
            seen.add(layer.chain_id)
            if await is_reproducible(self._store, layer):
                continue
            for other in list(self._database.build_cache):
                if other.layer is not None and other.layer.chain_id == layer.chain_id:
                    self._database.build_cache.delete(other.id)
            found.append(
                Damage(what="layer", digest=layer.chain_id, images=("build cache",), mended=True)
            )
        return found

    async def _image(self, image: Image, seen: set[str], report: Report) -> list[Damage]:
        """What of the image is damaged, and mended where that can be."""
        found: list[Damage] = []
        lost: list[tuple[str, str]] = []
        for digest, what in ((image.id, "configuration"), (image.manifest_digest, "manifest")):
            if digest not in seen:
                seen.add(digest)
                if not await to_thread.run_sync(blob_is_whole, self._store, digest):
                    lost.append((digest, what))
        for position, layer in enumerate(image.layers):
            if layer.chain_id in seen:
                continue
            seen.add(layer.chain_id)
            async with self._store.exclusive(layer.blob.digest):
                below = image.layers[:position]
                async with looked_at(self._store, layer, below, self._max_layer_bytes) as state:
                    if state.remade is not None:
                        found.append(await self._replaced(image, layer, state.remade))
                    elif not state.directory or not state.blob:
                        # What cannot be compared with its blob is not trusted either.
                        lost.append((layer.chain_id, "layer"))
                        if not state.blob:
                            lost.append((layer.blob.digest, "blob"))
        if lost:
            found += await self._fetched(image, lost, report)
        return found

    async def _replaced(self, image: Image, layer: Layer, remade: Path) -> Damage:
        if why := self._mounted(layer):
            return self._damage("layer", layer.chain_id, image, why)
        record = self._store.layer(layer.chain_id) or LayerRecord(
            chain_id=layer.chain_id,
            diff_id=layer.diff_id,
            size_bytes=layer.size_bytes,
            blob=layer.blob,
        )
        trash = self._store.retire_layer(layer.chain_id)
        await to_thread.run_sync(self._store.commit_layer, remade, record)
        await to_thread.run_sync(self._store.discard, trash)
        return self._damage("layer", layer.chain_id, image)

    async def _fetched(
        self, image: Image, lost: Sequence[tuple[str, str]], report: Report
    ) -> list[Damage]:
        """The damage, after what is lost was pulled again from where the image came from."""
        why = self._hindrance(image, lost)
        if not why:
            aside = [_Aside.of(self._store, digest, what) for digest, what in lost]
            why = await self._pulled(image, report)
            for one in aside:
                # A damaged image is more than none.
                await to_thread.run_sync(one.put_back if why else one.discard, self._store)
        return [self._damage(what, digest, image, why) for digest, what in lost]

    async def _pulled(self, image: Image, report: Report) -> str:
        """ "" once the image was pulled again, else why it was not."""
        why = "it was not pulled from anywhere: remove it, then load or build it again"
        for name in (*image.digests, *image.tags):
            try:
                again = await self._images.pull(name, report)
            except PystackError as error:
                why = f"it cannot be pulled again: {error.message}"
                continue
            if again.id == image.id:
                return ""
            why = f"{name} is another image now"
        return why

    def _hindrance(self, image: Image, lost: Sequence[tuple[str, str]]) -> str:
        if not image.digests:
            return "it was not pulled from a registry: remove it, then load or build it again"
        layers = {layer.chain_id: layer for layer in image.layers}
        for digest, _ in lost:
            if digest in layers and (why := self._mounted(layers[digest])):
                return why
        return ""

    def _mounted(self, layer: Layer) -> str:
        """Why the layer must not be changed: the containers that run from it; else ""."""
        ids = {
            image.id
            for image in self._database.images
            if any(layer.chain_id == other.chain_id for other in image.layers)
        }
        users = sorted(c.name for c in self._database.containers if c.image_id in ids and c.running)
        return f"stop {', '.join(users[:5])} first" if users else ""

    def _damage(self, what: str, digest: str, image: Image, why: str = "") -> Damage:
        names = {
            _name(other)
            for other in self._images.all()
            if digest in (other.id, other.manifest_digest)
            or any(digest in (layer.chain_id, layer.blob.digest) for layer in other.layers)
        }
        return Damage(
            what=what,
            digest=digest,
            images=tuple(sorted(names | {_name(image)})),
            mended=not why,
            why=why,
        )


@dataclass(frozen=True, slots=True)
class _Aside:
    """Something damaged, out of the way so that it is fetched anew."""

    digest: str
    path: Path
    record: LayerRecord | None

    @classmethod
    def of(cls, store: ContentStore, digest: str, what: str) -> _Aside:
        if what == "layer":
            record = store.layer(digest)
            return cls(digest, store.retire_layer(digest), record)
        return cls(digest, store.retire_blob(digest), None)

    def put_back(self, store: ContentStore) -> None:
        """Nothing, once it is where it was, unless something better is there. Blocking."""
        if self.path.exists():
            if self.record is not None:
                store.commit_layer(self.path, self.record)
            elif not store.has_blob(self.digest):
                store.adopt_blob(self.path, self.digest)
        self.discard(store)

    def discard(self, store: ContentStore) -> None:
        store.discard(self.path)


def _name(image: Image) -> str:
    return shown_name(image) or short_id(image.id)
