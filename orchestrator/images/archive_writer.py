"""Images as one tar file, written as it is read: an OCI image layout and a docker-archive at once.

    blobs/sha256/…                  every document and layer, by digest
    index.json, oci-layout          for whoever reads OCI layouts
    manifest.json, repositories     for `docker load`

Layers go out as they came in, compressed or not, so a manifest and its digest survive; a layer
made here is packed again. The same images give the same bytes.

Source: OCI image specification, "Image Layout"; what `docker save` writes since version 25.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import anyio.to_thread

from orchestrator.errors import Failed
from orchestrator.images import tarheader
from orchestrator.images.content import ContentStore, digest_of
from orchestrator.images.digest import algorithm_of, split_digest
from orchestrator.images.layertar import stream_layer
from orchestrator.images.manifest import (
    OCI_CONFIG,
    OCI_MANIFEST,
    Manifest,
    encode_manifest,
    parse_manifest,
)
from orchestrator.images.reference import Reference, parse_reference
from orchestrator.images.tarheader import Entry
from orchestrator.model.image import Descriptor, Image, Layer

ArchiveFormat = Literal["both", "oci", "docker"]
_PIECE = 1 << 20
_MODE = 0o644
_DIRECTORY_MODE = 0o755


@dataclass(frozen=True, slots=True)
class Saved:
    """An image to write, under these of its tags (in full)."""

    image: Image
    tags: tuple[str, ...]


async def write_archive(
    store: ContentStore, images: Sequence[Saved], form: ArchiveFormat = "both"
) -> AsyncGenerator[bytes]:
    """The archive's bytes, piece by piece.

    Raises: Failed: content is missing or damaged; before the first piece where that can be seen.
    """
    pieces = _pieces(store, images, form)
    while (piece := await anyio.to_thread.run_sync(_next, pieces)) is not None:
        yield piece


def _next(pieces: Iterator[bytes]) -> bytes | None:
    """The next megabyte or so: small pieces would each cost a hop to the thread."""
    found: list[bytes] = []
    size = 0
    for piece in pieces:
        found.append(piece)
        size += len(piece)
        if size >= _PIECE:
            break
    return b"".join(found) or None


def _pieces(store: ContentStore, images: Sequence[Saved], form: ArchiveFormat) -> Iterator[bytes]:
    documents: dict[str, bytes] = {}
    layers: dict[str, Layer] = {}
    manifests: list[tuple[Saved, Descriptor]] = []
    for saved in images:
        config = store.read_blob(saved.image.id)
        manifest = _manifest(store, saved.image, len(config))
        digest = digest_of(manifest)
        documents[saved.image.id] = config
        if form != "docker":
            documents[digest] = manifest
        layers |= {layer.blob.digest: layer for layer in saved.image.layers}
        described = Descriptor(
            media_type=_media_type(manifest), digest=digest, size_bytes=len(manifest)
        )
        manifests.append((saved, described))
    for layer in layers.values():
        _check_is_here(store, layer)
    algorithms = {algorithm_of(digest) for digest in (*documents, *layers)}
    yield _directory("blobs/")
    for algorithm in sorted(algorithms):
        yield _directory(f"blobs/{algorithm}/")
    for digest, data in documents.items():
        yield from _file(_path(digest), data)
    for layer in layers.values():
        yield from _layer(store, layer)
    if form != "docker":
        yield from _file("index.json", _encoded(_index(manifests)))
    if form != "oci":
        yield from _file("manifest.json", _encoded([_docker_entry(saved) for saved in images]))
    if form != "docker":
        yield from _file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    if form != "oci" and (repositories := _repositories(images)):
        yield from _file("repositories", _encoded(repositories))
    yield tarheader.END


def _manifest(store: ContentStore, image: Image, config_bytes: int) -> bytes:
    """The image's manifest as it came, where it tells of the layers as they are stored here."""
    layers = [layer.blob for layer in image.layers]
    if store.has_blob(image.manifest_digest):
        data = store.read_blob(image.manifest_digest)
        parsed = parse_manifest(data)
        digests = [layer.digest for layer in layers]
        if (
            isinstance(parsed, Manifest)
            and parsed.config.digest == image.id
            and [layer.digest for layer in parsed.layers] == digests
        ):
            return data
    config = Descriptor(media_type=OCI_CONFIG, digest=image.id, size_bytes=config_bytes)
    return encode_manifest(config, layers)


def _media_type(manifest: bytes) -> str:
    return str(json.loads(manifest).get("mediaType") or OCI_MANIFEST)


def _check_is_here(store: ContentStore, layer: Layer) -> None:
    if store.has_blob(layer.blob.digest):
        return
    if layer.blob.digest != layer.diff_id or not store.layer_dir(layer.chain_id).is_dir():
        raise _missing(layer.blob.digest)


def _layer(store: ContentStore, layer: Layer) -> Iterator[bytes]:
    digest, size = layer.blob.digest, layer.blob.size_bytes
    yield _header(_path(digest), size)
    counted = 0
    sha = hashlib.new(algorithm_of(digest))
    for piece in _layer_bytes(store, layer):
        counted += len(piece)
        sha.update(piece)
        if counted > size:
            break
        yield piece
    # What was promised cannot be taken back; the archive is left without its end instead.
    if counted != size or f"{sha.name}:{sha.hexdigest()}" != digest:
        raise Failed(
            f"the stored layer {digest} is damaged",
            code="content-damaged",
            about=digest,
            hint="`pystack image verify` finds what is damaged and mends it",
        )
    yield tarheader.padding(size)


def _layer_bytes(store: ContentStore, layer: Layer) -> Iterator[bytes]:
    path = store.blob_path(layer.blob.digest)
    if not path.exists():
        yield from stream_layer(store.layer_dir(layer.chain_id))
        return
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            yield piece


def _index(manifests: Sequence[tuple[Saved, Descriptor]]) -> dict[str, Any]:
    entries: list[dict[str, Any]] = []
    for saved, described in manifests:
        entry = {
            "mediaType": described.media_type,
            "digest": described.digest,
            "size": described.size_bytes,
            "platform": _platform(saved.image),
        }
        for tag in saved.tags or ("",):
            named = {"annotations": _annotations(parse_reference(tag))} if tag else {}
            entries.append({**entry, **named})
    return {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": entries,
    }


def _platform(image: Image) -> dict[str, str]:
    config = image.config
    found = {"architecture": config.architecture, "os": config.os, "variant": config.variant}
    return {key: value for key, value in found.items() if value}


def _annotations(reference: Reference) -> dict[str, str]:
    return {
        "io.containerd.image.name": str(reference),
        "org.opencontainers.image.ref.name": reference.tag,
    }


def _docker_entry(saved: Saved) -> dict[str, Any]:
    return {
        "Config": _path(saved.image.id),
        "RepoTags": [parse_reference(tag).familiar for tag in saved.tags] or None,
        "Layers": [_path(layer.blob.digest) for layer in saved.image.layers],
        "LayerSources": {
            layer.diff_id: {
                "mediaType": layer.blob.media_type,
                "size": layer.blob.size_bytes,
                "digest": layer.blob.digest,
            }
            for layer in saved.image.layers
        },
    }


def _repositories(images: Sequence[Saved]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for saved in images:
        for tag in saved.tags:
            reference = parse_reference(tag)
            name = reference.familiar.removesuffix(f":{reference.tag}")
            top = saved.image.layers[-1].chain_id if saved.image.layers else saved.image.id
            found.setdefault(name, {})[reference.tag] = top.removeprefix("sha256:")
    return found


def _file(path: str, data: bytes) -> Iterator[bytes]:
    yield _header(path, len(data))
    yield tarheader.padded(data)


def _header(path: str, size: int) -> bytes:
    return tarheader.header(
        Entry(name=path.encode(), kind=tarheader.REGULAR, mode=_MODE, size=size)
    )


def _directory(path: str) -> bytes:
    return tarheader.header(
        Entry(name=path.encode(), kind=tarheader.DIRECTORY, mode=_DIRECTORY_MODE)
    )


def _path(digest: str) -> str:
    return "blobs/" + "/".join(split_digest(digest))


def _encoded(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _missing(digest: str) -> Failed:
    return Failed(
        f"the layer {digest} is not stored here",
        code="content-damaged",
        about=digest,
        hint="`pystack image verify` finds what is missing and pulls it again",
    )
