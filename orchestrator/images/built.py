"""Images that are made here: an overlay's upper directory becomes a layer, and a configuration
with layers becomes an image.

A layer made here has no stored blob: its descriptor is that of its uncompressed tar, which
`layertar.stream_layer` makes again, byte for byte, from the layer's directory.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import anyio.to_thread

from orchestrator.images.chain import chain_id
from orchestrator.images.config import encode_config, timestamp
from orchestrator.images.content import ContentStore, LayerRecord
from orchestrator.images.layertar import diff_of
from orchestrator.images.manifest import OCI_CONFIG, OCI_LAYER, encode_manifest
from orchestrator.model.image import Descriptor, History, Image, ImageConfig, Layer

# Notes overlayfs keeps for an upper directory; in a lower one they would mislead it.
_UPPER_NOTES = frozenset("trusted.overlay." + n for n in ("origin", "impure", "nlink", "uuid"))


async def adopt_layer(store: ContentStore, upper: Path, parent: str) -> Layer:
    """The layer that the upper directory of an unmounted overlay has become, on top of the chain
    id parent ("" where it is the lowest). The directory is moved away; it must be on the store's
    filesystem (`store.begin_layer()` gives one that is).

    Raises: Failed: the directory is on another filesystem, or is no complete layer.
    """
    return await anyio.to_thread.run_sync(_adopt, store, upper, parent)


async def write_image(
    store: ContentStore,
    config: ImageConfig,
    layers: Sequence[Layer],
    history: Sequence[History] = (),
) -> Image:
    """The image of these layers, lowest first, its configuration and manifest stored. Its id is
    the same whenever the input is. It is not recorded: `engine.images.Images.register` does that.
    """
    return await anyio.to_thread.run_sync(_write, store, config, layers, history)


def _adopt(store: ContentStore, upper: Path, parent: str) -> Layer:
    _forget_upper(os.fsencode(upper))
    diff = diff_of(upper)
    layer = Layer(
        blob=Descriptor(media_type=OCI_LAYER, digest=diff.diff_id, size_bytes=diff.tar_bytes),
        diff_id=diff.diff_id,
        chain_id=chain_id(parent, diff.diff_id),
        size_bytes=diff.content_bytes,
    )
    record = LayerRecord(
        chain_id=layer.chain_id,
        diff_id=layer.diff_id,
        size_bytes=layer.size_bytes,
        blob=layer.blob,
    )
    store.commit_layer(upper, record)
    return layer


def _write(
    store: ContentStore,
    config: ImageConfig,
    layers: Sequence[Layer],
    history: Sequence[History],
) -> Image:
    data = encode_config(config, [layer.diff_id for layer in layers], history)
    identifier = store.write_blob(data)
    described = Descriptor(media_type=OCI_CONFIG, digest=identifier, size_bytes=len(data))
    manifest = store.write_blob(encode_manifest(described, [layer.blob for layer in layers]))
    return Image(
        id=identifier,
        manifest_digest=manifest,
        config=config,
        layers=tuple(layers),
        history=tuple(history),
        created_at=timestamp(config.created),
        size_bytes=sum(layer.size_bytes for layer in layers),
    )


def _forget_upper(directory: bytes) -> None:
    _forget(directory)
    for path, directories, files in os.walk(directory):
        for name in (*directories, *files):
            _forget(path + b"/" + name)


def _forget(path: bytes) -> None:
    for key in _UPPER_NOTES.intersection(os.listxattr(path, follow_symlinks=False)):
        os.removexattr(path, key, follow_symlinks=False)
