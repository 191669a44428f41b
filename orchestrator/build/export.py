"""A finished image written outside the engine: its files, or an archive that tools can load.

Every form is the same bytes whenever the image is. Blocking.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

from orchestrator.build.selection import select_all
from orchestrator.build.transfer import Placement, place
from orchestrator.build.tree import Tree
from orchestrator.errors import Failed
from orchestrator.images.content import ContentStore
from orchestrator.images.layertar import diff_of, stream_layer
from orchestrator.images.manifest import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    encode_manifest,
)
from orchestrator.images.reference import parse_reference
from orchestrator.model.image import Descriptor, Image, Layer

_PIECE = 1 << 20
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


class Blob(NamedTuple):
    """Content by its descriptor, read piece by piece."""

    descriptor: Descriptor
    read: Callable[[], Iterator[bytes]]


class Sink(Protocol):
    """Where the files of an archive go."""

    def add(self, name: str, size: int, pieces: Iterable[bytes]) -> None: ...


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


class TarSink:
    """Files in a tar."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._names: set[str] = set()

    def add(self, name: str, size: int, pieces: Iterable[bytes]) -> None:
        if name in self._names:
            return
        self._names.add(name)
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o644
        self._tar.addfile(info, cast("io.BufferedReader", _Pieces(iter(pieces))))


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


def write_archive(store: ContentStore, image: Image, path: Path, names: Sequence[str]) -> None:
    """Nothing, once path is an archive of the image under these names, that both tools for OCI
    layouts and `docker load` understand.  Raises: Failed."""

    def write(file: io.BufferedWriter) -> None:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            sink = TarSink(tar)
            manifest, layers = _write_image(store, image, sink)
            _write_index(sink, [_described(manifest, name) for name in names or [""]])
            table = [
                {
                    "Config": _blob_name(image.id),
                    "RepoTags": [parse_reference(name).familiar for name in names],
                    "Layers": [_blob_name(layer.digest) for layer in layers],
                }
            ]
            _document(sink, "manifest.json", table)
            sink.add("oci-layout", len(_LAYOUT), [_LAYOUT])

    _whole(path, write)


def write_layout(store: ContentStore, images: Sequence[Image], directory: Path) -> None:
    """Nothing, once directory is an OCI layout of the images.  Raises: Failed."""
    try:
        sink = DirectorySink(directory)
        found = [_described(_write_image(store, image, sink)[0], "") for image in images]
        sink.add("oci-layout", len(_LAYOUT), [_LAYOUT])
        _write_index(sink, found)
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


def _write_image(
    store: ContentStore, image: Image, sink: Sink
) -> tuple[Descriptor, list[Descriptor]]:
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
    return found, layers


def _write_blob(sink: Sink, blob: Blob) -> None:
    descriptor = blob.descriptor
    sink.add(_blob_name(descriptor.digest), descriptor.size_bytes, blob.read())


def _described(manifest: Descriptor, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": manifest.size_bytes,
    }
    if name:
        reference = parse_reference(name)
        found["annotations"] = {
            "io.containerd.image.name": str(reference),
            "org.opencontainers.image.ref.name": reference.tag,
        }
    return found


def _write_index(sink: Sink, manifests: Sequence[dict[str, Any]]) -> None:
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(manifests)}
    _document(sink, "index.json", index)


def _document(sink: Sink, name: str, value: Any) -> None:
    data = json.dumps(value, separators=(",", ":")).encode()
    sink.add(name, len(data), [data])


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


class _Pieces:
    """An iterator of pieces as a file that can be read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int) -> bytes:
        while len(self._rest) < size and (piece := next(self._pieces, b"")):
            self._rest += piece
        found, self._rest = self._rest[:size], self._rest[size:]
        return found
