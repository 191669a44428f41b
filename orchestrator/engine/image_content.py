"""Which content is still needed: layers and blobs are freed when no record needs them any more.

The records are the reference counts: what no image and no build step names is unused. Content that
is not in a record yet (a pull, a build) is protected by `holding`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from orchestrator.images.content import ContentStore, LayerRecord
from orchestrator.state.database import Database


@dataclass(frozen=True, slots=True)
class Freed:
    """What went from the disk: the chain ids of layers, and the bytes that they held."""

    layers: frozenset[str] = frozenset()
    size_bytes: int = 0


class ImageContent:
    """The store's content, as far as somebody needs it; `before` is called ahead of each look at
    the records."""

    def __init__(self, database: Database, store: ContentStore, before: Callable[[], None]) -> None:
        self._database = database
        self._store = store
        self._before = before
        self._holds = 0
        self._collect_later = False

    @asynccontextmanager
    async def holding(self) -> AsyncGenerator[None]:
        """A block in which no content is freed: what is found in the store, or put there, stays
        until it is in a record."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            if self._collect_later and not self._holds:
                with anyio.CancelScope(shield=True):
                    await self.collect()

    async def collect(self) -> Freed:
        """What was freed: every layer and blob that no image and no build step needs. While
        somebody holds content it is put off, and nothing."""
        layers, blobs = await anyio.to_thread.run_sync(
            lambda: (self._store.layers(), self._store.blobs())
        )
        if self._holds:
            self._collect_later = True
            return Freed()
        self._collect_later = False
        # No await between deciding and hiding, so nobody can find a layer that is about to go.
        self._before()
        unused, kept = self._needed(layers)
        trash = [self._store.retire_layer(layer.chain_id) for layer in unused]
        trash += [self._store.retire_blob(digest) for digest in blobs if digest not in kept]
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._discard, trash)
        return Freed(
            frozenset(layer.chain_id for layer in unused),
            sum(layer.size_bytes for layer in unused),
        )

    async def forget_partial(self) -> None:
        """Nothing, once what interrupted pulls had of their layers is gone. While somebody holds
        content it stays: a pull may be about to go on from there."""
        if not self._holds:
            trash = self._store.retire_partial()
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._discard, trash)

    def _needed(self, layers: list[LayerRecord]) -> tuple[list[LayerRecord], set[str]]:
        """The layers that nobody needs, and the digests of the blobs that somebody does."""
        images = list(self._database.images)
        needed = {layer.chain_id for image in images for layer in image.layers}
        needed |= {step.layer.chain_id for step in self._database.build_cache if step.layer}
        kept = {image.id for image in images} | {image.manifest_digest for image in images}
        kept |= {layer.blob.digest for image in images for layer in image.layers}
        kept |= {layer.blob.digest for layer in layers if layer.chain_id in needed}
        return [layer for layer in layers if layer.chain_id not in needed], kept

    def _discard(self, trash: list[Path]) -> None:
        for path in trash:
            self._store.discard(path)
