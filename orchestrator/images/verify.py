"""Whether what is stored is what its names say. Reads everything, changes nothing.

A layer made here packs to its own diff id again. One that came from elsewhere does not, as its tar
had another order and other headers: it is unpacked once more from its blob, and both trees must
pack to the same bytes. The new tree is handed to the caller, who can put it in the old one's place.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from orchestrator.errors import Failed
from orchestrator.images.content import ContentStore
from orchestrator.images.digest import algorithm_of
from orchestrator.images.layers import read_pieces, unpack_apart
from orchestrator.images.layertar import diff_of
from orchestrator.images.settle import Settling, settle_tree
from orchestrator.model.image import Layer

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class LayerState:
    """What a look at one layer found: whether its blob and its directory are whole, and, where the
    directory is not but could be made again, the new directory."""

    blob: bool
    directory: bool
    remade: Path | None = None


def blob_is_whole(store: ContentStore, digest: str) -> bool:
    """Whether the blob is here and is what its digest says. Blocking."""
    sha = hashlib.new(algorithm_of(digest))
    try:
        with store.blob_path(digest).open("rb", buffering=0) as file:
            while piece := file.read(_PIECE):
                sha.update(piece)
    except OSError:
        return False
    return f"{sha.name}:{sha.hexdigest()}" == digest


async def is_reproducible(store: ContentStore, layer: Layer) -> bool:
    """Whether a layer made here still packs to its diff id; True for one that came from elsewhere
    and whose blob is whole."""
    record = await to_thread.run_sync(store.layer, layer.chain_id)
    if record is None:
        return False
    if store.has_blob(record.blob.digest):
        return await to_thread.run_sync(blob_is_whole, store, record.blob.digest)
    return await _packs_to(store.layer_dir(layer.chain_id)) == layer.diff_id


@asynccontextmanager
async def looked_at(
    store: ContentStore, layer: Layer, below: Sequence[Layer], max_bytes: int
) -> AsyncGenerator[LayerState]:
    """What a look at the layer on top of `below` (lowest first) found; the remade directory is
    gone after the block, unless the caller has moved it."""
    directory = store.layer_dir(layer.chain_id)
    record = await to_thread.run_sync(store.layer, layer.chain_id)
    blob = record.blob if record else layer.blob
    if blob.digest == layer.diff_id and not store.has_blob(blob.digest):
        whole = record is not None and await _packs_to(directory) == layer.diff_id
        yield LayerState(blob=True, directory=whole)
        return
    if not await to_thread.run_sync(blob_is_whole, store, blob.digest):
        yield LayerState(blob=False, directory=record is not None)
        return
    unpacked = await unpack_apart(
        store, read_pieces(store.blob_path(blob.digest)), max_bytes=max_bytes
    )
    try:
        if unpacked.diff_id != layer.diff_id:
            yield LayerState(blob=False, directory=record is not None)
            return
        settling = Settling(unpacked.implicit, unpacked.links)
        lowers = store.lowers(below) if below else []
        await to_thread.run_sync(settle_tree, unpacked.directory, lowers, settling)
        if record is not None and await _packs_to(directory) == await _packs_to(unpacked.directory):
            yield LayerState(blob=True, directory=True)
        else:
            yield LayerState(blob=True, directory=False, remade=unpacked.directory)
    finally:
        await to_thread.run_sync(store.discard, unpacked.directory)


async def _packs_to(directory: Path) -> str:
    """The digest of the directory as a layer; "" where it cannot be packed."""
    try:
        return (await to_thread.run_sync(diff_of, directory)).diff_id
    except (Failed, OSError):
        return ""
