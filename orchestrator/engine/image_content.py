"""Which content is still needed: layers and blobs are freed when no record needs them any more.

The records are the reference counts: what no image and no build step names is unused. Content that
is not in a record yet (a pull, a build) is protected by `holding`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from orchestrator.images.content import ContentStore
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
        self._turn = anyio.Lock()
        self._hiding: anyio.Event | None = None

    @asynccontextmanager
    async def holding(self) -> AsyncGenerator[None]:
        """A block in which no content is freed: what is found in the store, or put there, stays
        until it is in a record."""
        while (hiding := self._hiding) is not None:
            await hiding.wait()
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
        async with self._turn:
            sources, blobs = await anyio.to_thread.run_sync(
                lambda: (self._store.sources(), self._store.blobs())
            )
            if self._holds:
                self._collect_later = True
                return Freed()
            self._collect_later = False
            self._before()
            unused, kept = self._needed(sources)
            # No await since it was known that nobody holds anything, and nobody does until all of
            # it is hidden: so nobody can find a layer that is about to go.
            self._hiding = anyio.Event()
            hide = partial(self._hide, unused, [b for b in blobs if b not in kept])
            with anyio.CancelScope(shield=True):
                try:
                    trash, size_bytes = await anyio.to_thread.run_sync(hide)
                finally:
                    self._hiding.set()
                    self._hiding = None
                await anyio.to_thread.run_sync(self._discard, trash)
            return Freed(frozenset(unused), size_bytes)

    async def forget_partial(self) -> None:
        """Nothing, once what interrupted pulls had of their layers is gone. While somebody holds
        content it stays: a pull may be about to go on from there."""
        if not self._holds:
            trash = self._store.retire_partial()
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._discard, trash)

    def _needed(self, sources: Mapping[str, str]) -> tuple[list[str], set[str]]:
        """The chain ids of the layers that nobody needs, and the digests of the blobs that somebody
        does."""
        images = list(self._database.images)
        needed = {layer.chain_id for image in images for layer in image.layers}
        needed |= {step.layer.chain_id for step in self._database.build_cache if step.layer}
        kept = {image.id for image in images} | {image.manifest_digest for image in images}
        kept |= {layer.blob.digest for image in images for layer in image.layers}
        kept |= {digest for chain_id, digest in sources.items() if chain_id in needed}
        return [chain_id for chain_id in sources if chain_id not in needed], kept

    def _hide(self, layers: list[str], blobs: list[str]) -> tuple[list[Path], int]:
        """What is left to discard of these layers and blobs, and the size of the layers (blocking).

        In a thread: on a busy disk each takes as long as it takes.
        """
        known = [self._store.layer(chain_id) for chain_id in layers]
        trash = [self._store.retire_layer(chain_id) for chain_id in layers]
        trash += [self._store.retire_blob(digest) for digest in blobs]
        return trash, sum(layer.size_bytes for layer in known if layer is not None)

    def _discard(self, trash: list[Path]) -> None:
        for path in trash:
            self._store.discard(path)
