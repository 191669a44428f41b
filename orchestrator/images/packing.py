"""A layer as a registry takes it: a stored, compressed blob. Layers that came from a registry have
one; those made here get theirs the first time they are pushed, and keep it. Blocking.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from zlib_ng import zlib_ng

from orchestrator.errors import Failed
from orchestrator.images.content import ContentStore
from orchestrator.images.lane import Lane
from orchestrator.images.layertar import stream_layer
from orchestrator.images.manifest import OCI_LAYER
from orchestrator.model.image import Descriptor, Layer

_GZIP = OCI_LAYER + "+gzip"
_PIECE = 512 << 10
_GZIP_FORMAT = 31
# Twice as fast as the default level, for blobs some percent larger.
_LEVEL = 4


def is_packed(store: ContentStore, layer: Layer) -> bool:
    """Whether the layer's blob is stored, and compressed."""
    return layer.blob.digest != layer.diff_id and store.has_blob(layer.blob.digest)


def pack_layer(store: ContentStore, layer: Layer) -> Descriptor:
    """The layer's compressed blob, stored and remembered in the layer's record. The same layer
    gives the same bytes.

    Raises: Failed: the layer's directory has been changed, or the disk is full.
    """
    if is_packed(store, layer):
        return layer.blob
    record = store.layer(layer.chain_id)
    if record and record.blob.digest != layer.diff_id and store.has_blob(record.blob.digest):
        return record.blob
    path = store.scratch()
    try:
        packed = _packed(_tar(store, layer), path, layer)
        if not store.has_blob(packed.digest):
            store.adopt_blob(path, packed.digest)
    except OSError as error:
        raise Failed(
            f"a layer cannot be compressed: {error.strerror}",
            code="layer-store",
            hint="see that the disk that holds data_dir is not full",
        ) from error
    finally:
        store.discard(path)
    store.record_blob(layer.chain_id, packed)
    return packed


def _packed(tar: Iterator[bytes], path: Path, layer: Layer) -> Descriptor:
    """The descriptor of what is written to path: reading and hashing, compressing, and writing
    take turns on a core each."""
    plain, packed = hashlib.sha256(), hashlib.sha256()
    compressor = zlib_ng.compressobj(level=_LEVEL, wbits=_GZIP_FORMAT)
    size = 0
    with path.open("wb", buffering=0) as file:

        def write(data: bytes) -> None:
            nonlocal size
            size += len(data)
            packed.update(data)
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]

        writing = Lane("pack-write", write)
        packing = Lane("pack-gzip", lambda data: writing.put(compressor.compress(data)))
        try:
            for piece in _larger(tar):
                plain.update(piece)
                packing.put(piece)
            packing.close()
            writing.put(compressor.flush())
            writing.close()
        finally:
            packing.abandon()
            writing.abandon()
    if f"sha256:{plain.hexdigest()}" != layer.diff_id:
        raise Failed(
            f"layer {layer.diff_id} is not what it was when it was made",
            code="layer-changed",
            about=layer.diff_id,
            hint="build or pull the image again; nothing may write below data_dir",
        )
    return Descriptor(media_type=_GZIP, digest=f"sha256:{packed.hexdigest()}", size_bytes=size)


def _tar(store: ContentStore, layer: Layer) -> Iterator[bytes]:
    stored = store.blob_path(layer.diff_id)
    if not stored.exists():
        yield from stream_layer(store.layer_dir(layer.chain_id))
        return
    with stored.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _larger(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer pieces: a header of a tar is one, and each is a hop to a thread."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _PIECE:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
