"""A finished image written outside the engine: its files, or an archive that tools can load.

Every form is the same bytes whenever the image is. All but `write_archive` are blocking.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import NamedTuple

import anyio

from orchestrator.build.selection import select_all
from orchestrator.build.transfer import Placement, place
from orchestrator.build.tree import Tree
from orchestrator.errors import Failed
from orchestrator.images import archive_writer
from orchestrator.images.archive_writer import ArchiveFormat, Saved
from orchestrator.images.content import ContentStore
from orchestrator.images.layertar import diff_of, stream_layer
from orchestrator.images.manifest import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    encode_manifest,
)
from orchestrator.model.image import Descriptor, Image, Layer

_PIECE = 1 << 20
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


class Blob(NamedTuple):
    """Content by its descriptor, read piece by piece."""

    descriptor: Descriptor
    read: Callable[[], Iterator[bytes]]


class DirectorySink:
    """Files in a directory; those that are there with the right size are left alone."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def add(self, name: str, size: int, pieces: Iterable[bytes]) -> None:
        path = self._directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.startswith("blobs/") and path.exists() and path.stat().st_size == size:
            return
        half = path.with_name(path.name + ".half")
        with half.open("wb") as file:
            file.writelines(pieces)
        half.rename(path)


def write_files(root: Path, directory: Path) -> None:
    """Nothing, once directory holds the files below root, as this process's own.

    Raises: Failed: something is in the way; the disk refuses.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        selection = select_all(Tree(root), "")
        assert selection is not None
        owner = (os.geteuid(), os.getegid())
        place(selection, "/", Placement(root=directory.resolve(), owner=owner))
    except OSError as error:
        raise _refused(directory, error) from error


def write_tar(root: Path, path: Path) -> None:
    """Nothing, once path is the tar of the files below root.  Raises: Failed."""
    _whole(path, lambda file: file.writelines(stream_layer(root)))


async def write_archive(
    store: ContentStore, image: Image, path: Path, tags: Sequence[str], form: ArchiveFormat
) -> None:
    """Nothing, once path is an archive of the image under these tags.  Raises: Failed."""
    half = path.with_name(path.name + ".half")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        saved = Saved(image, tuple(tags))
        async with (
            await anyio.open_file(half, "wb") as file,
            aclosing(archive_writer.write_archive(store, [saved], form)) as pieces,
        ):
            async for piece in pieces:
                await file.write(piece)
        half.rename(path)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        half.unlink(missing_ok=True)


def write_layout(store: ContentStore, images: Sequence[Image], directory: Path) -> None:
    """Nothing, once directory is an OCI layout of the images.  Raises: Failed."""
    try:
        sink = DirectorySink(directory)
        index = encode_index([_write_image(store, image, sink) for image in images])
        sink.add("oci-layout", len(_LAYOUT), [_LAYOUT])
        sink.add("index.json", len(index), [index])
    except OSError as error:
        raise _refused(directory, error) from error


def layer_blob(store: ContentStore, layer: Layer) -> Blob:
    """The layer's blob: as it is stored, else the tar of its files."""
    digest = layer.blob.digest
    if store.has_blob(digest):
        return Blob(layer.blob, lambda: _read(store.blob_path(digest)))
    directory = store.layer_dir(layer.chain_id)
    if digest == layer.diff_id:
        return Blob(layer.blob, lambda: stream_layer(directory))
    diff = diff_of(directory)
    descriptor = Descriptor(media_type=OCI_LAYER, digest=diff.diff_id, size_bytes=diff.tar_bytes)
    return Blob(descriptor, lambda: stream_layer(directory))


def _write_image(store: ContentStore, image: Image, sink: DirectorySink) -> Descriptor:
    layers: list[Descriptor] = []
    for layer in image.layers:
        blob = layer_blob(store, layer)
        layers.append(blob.descriptor)
        _write_blob(sink, blob)
    data = store.read_blob(image.id)
    config = Descriptor(media_type=OCI_CONFIG, digest=image.id, size_bytes=len(data))
    _write_blob(sink, Blob(config, lambda: iter([data])))
    manifest = encode_manifest(config, layers)
    found = Descriptor(
        media_type=OCI_MANIFEST,
        digest=f"sha256:{hashlib.sha256(manifest).hexdigest()}",
        size_bytes=len(manifest),
    )
    _write_blob(sink, Blob(found, lambda: iter([manifest])))
    return found


def _write_blob(sink: DirectorySink, blob: Blob) -> None:
    descriptor = blob.descriptor
    sink.add(_blob_name(descriptor.digest), descriptor.size_bytes, blob.read())


def encode_index(manifests: Sequence[Descriptor]) -> bytes:
    """An OCI index of the manifests."""
    entries = [
        {"mediaType": m.media_type, "digest": m.digest, "size": m.size_bytes} for m in manifests
    ]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    return json.dumps(index, separators=(",", ":")).encode()


def _blob_name(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _whole(path: Path, write: Callable[[io.BufferedWriter], object]) -> None:
    """Nothing, once the file is written, whole or not at all."""
    half = path.with_name(path.name + ".half")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with half.open("wb") as file:
            write(file)
        half.rename(path)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        with suppress(OSError):
            half.unlink(missing_ok=True)


def _refused(path: Path, error: OSError) -> Failed:
    return Failed(
        f"{path} cannot be written: {error.strerror or error}",
        code="export-failed",
        about=str(path),
        hint="check the directory of --output, and that the disk has room",
    )
