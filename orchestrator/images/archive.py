"""Images in one tar file: docker-archive (`docker save`) and oci-archive, read into the store."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from orchestrator.errors import Failed, InvalidInput
from orchestrator.images.chain import chain_ids
from orchestrator.images.compression import Decompressor
from orchestrator.images.config import ParsedConfig, parse_config, timestamp
from orchestrator.images.content import ContentStore, digest_of
from orchestrator.images.layers import add_layer, known_layer
from orchestrator.images.manifest import (
    OCI_CONFIG,
    OCI_LAYER,
    Index,
    choose,
    encode_manifest,
    host_platform,
    parse_manifest,
)
from orchestrator.images.reference import parse_reference
from orchestrator.model.events import Progress, Report
from orchestrator.model.ids import short_id
from orchestrator.model.image import Descriptor, Image, Layer

_PIECE = 512 << 10
_DOCUMENT_MAX = 16 << 20
_NAME_ANNOTATIONS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_GZIP_LAYER = OCI_LAYER + "+gzip"
_ZSTD_LAYER = OCI_LAYER + "+zstd"


@dataclass(frozen=True, slots=True)
class _Member:
    """Where a file's bytes are in the uncompressed archive."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class _Stored:
    """One image of an archive: its documents, and its layers' members, lowest first."""

    config: bytes
    manifest: bytes | None
    layers: tuple[tuple[str, Descriptor | None], ...]
    tags: tuple[str, ...]


class _Archive:
    """The files of an uncompressed tar, read in place: nothing is extracted. Blocking."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            self._members = _members(tar)
            self._fd = os.dup(file.fileno())

    def close(self) -> None:
        os.close(self._fd)

    def __contains__(self, name: str) -> bool:
        return os.path.normpath(name) in self._members

    def member(self, name: str) -> _Member:
        found = self._members.get(os.path.normpath(name))
        if found is None:
            raise _invalid(f"{name} is missing from the archive")
        return found

    def document(self, name: str) -> bytes:
        member = self.member(name)
        if member.size > _DOCUMENT_MAX:
            raise _invalid(f"{name} has {member.size} bytes")
        return self.read(member, 0, member.size)

    def read(self, member: _Member, position: int, size: int) -> bytes:
        return os.pread(self._fd, min(size, member.size - position), member.offset + position)

    def digest(self, member: _Member) -> str:
        sha = hashlib.sha256()
        position = 0
        while piece := self.read(member, position, _PIECE):
            sha.update(piece)
            position += len(piece)
        return "sha256:" + sha.hexdigest()

    async def pieces(self, member: _Member) -> AsyncGenerator[bytes]:
        position = 0
        while piece := await anyio.to_thread.run_sync(self.read, member, position, _PIECE):
            yield piece
            position += len(piece)


def _members(tar: tarfile.TarFile) -> dict[str, _Member]:
    found: dict[str, _Member] = {}
    links: dict[str, str] = {}
    for info in tar:
        name = os.path.normpath(info.name)
        if info.isreg():
            found[name] = _Member(info.offset_data, info.size)
        elif info.issym():
            links[name] = os.path.normpath(Path(name).parent / info.linkname)
        elif info.islnk():
            links[name] = os.path.normpath(info.linkname)
    # Old `docker save` stores a repeated layer as a link to its first copy.
    for name, target in links.items():
        if target in found:
            found[name] = found[target]
    return found


async def load_archive(
    source: Path | AsyncIterator[bytes],
    store: ContentStore,
    report: Report,
    max_layer_bytes: int,
) -> list[Image]:
    """The images of an archive, their content stored, with the tags it gives them; the archive may
    be compressed with gzip or zstd.

    Raises: InvalidInput: it is no image archive. Failed: it is damaged, or a layer is too large.
    """
    async with _opened(source, store) as archive:
        images = await anyio.to_thread.run_sync(_images, archive)
        return [await _load(archive, stored, store, report, max_layer_bytes) for stored in images]


@asynccontextmanager
async def _opened(
    source: Path | AsyncIterator[bytes], store: ContentStore
) -> AsyncGenerator[_Archive]:
    """The archive, in a temporary file where it has to be: it is read from its end first."""
    spooled: Path | None = None
    try:
        try:
            if not isinstance(source, Path) or await anyio.to_thread.run_sync(_is_packed, source):
                spooled = store.scratch()
                await _spool(source, spooled)
            path = spooled or source
            assert isinstance(path, Path)
            archive = await anyio.to_thread.run_sync(_Archive, path)
        except tarfile.TarError as error:
            raise _invalid(f"this is not a tar archive: {error}") from error
        except OSError as error:
            raise _invalid(f"it cannot be read: {error}") from error
        try:
            yield archive
        finally:
            archive.close()
    finally:
        if spooled is not None:
            spooled.unlink(missing_ok=True)


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) in (b"\x1f\x8b", b"\x28\xb5")


async def _spool(source: Path | AsyncIterator[bytes], target: Path) -> None:
    file = await anyio.to_thread.run_sync(_create, target)

    def keep(data: bytes) -> None:
        file.write(data)

    try:
        decompressor = Decompressor(keep)
        if isinstance(source, Path):
            async with await anyio.open_file(source, "rb") as packed:
                while piece := await packed.read(_PIECE):
                    await anyio.to_thread.run_sync(decompressor.feed, piece)
        else:
            async for piece in source:
                await anyio.to_thread.run_sync(decompressor.feed, piece)
        await anyio.to_thread.run_sync(decompressor.finish)
    except ValueError as error:
        raise _invalid(f"the archive is damaged: {error}") from error
    finally:
        await anyio.to_thread.run_sync(file.close)


def _create(path: Path) -> BufferedWriter:
    return path.open("wb")


def _images(archive: _Archive) -> list[_Stored]:
    try:
        if "manifest.json" in archive:
            listed = json.loads(archive.document("manifest.json"))
            return [_of_docker(archive, entry) for entry in listed]
        if "index.json" in archive:
            listed = json.loads(archive.document("index.json"))["manifests"]
            return [_of_oci(archive, entry) for entry in listed]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _invalid(f"the archive's list of images is damaged: {error!r}") from error
    raise _invalid("it has neither manifest.json nor index.json")


def _of_docker(archive: _Archive, entry: Mapping[str, Any]) -> _Stored:
    """Source: Docker's image specification 1.2, "Combined Image JSON + Filesystem Changeset"."""
    return _Stored(
        config=archive.document(entry["Config"]),
        manifest=None,
        layers=tuple((str(name), None) for name in entry["Layers"]),
        tags=tuple(str(parse_reference(tag)) for tag in entry.get("RepoTags") or ()),
    )


def _of_oci(archive: _Archive, entry: Mapping[str, Any]) -> _Stored:
    """Source: OCI image specification, "Image Layout"."""
    annotations = entry.get("annotations") or {}
    named = next((str(annotations[k]) for k in _NAME_ANNOTATIONS if k in annotations), "")
    # Some tools note only the tag there, which names no image.
    tags = (str(parse_reference(named)),) if "/" in named or ":" in named else ()
    data = _blob(archive, str(entry["digest"]))
    parsed = parse_manifest(data)
    if isinstance(parsed, Index):
        data = _blob(archive, choose(parsed, host_platform(), named or "the archive").digest)
        parsed = parse_manifest(data)
        if isinstance(parsed, Index):
            raise _invalid("an index of indexes is not an image")
    return _Stored(
        config=_blob(archive, parsed.config.digest),
        manifest=data,
        layers=tuple((_blob_name(layer.digest), layer) for layer in parsed.layers),
        tags=tags,
    )


async def _load(
    archive: _Archive, stored: _Stored, store: ContentStore, report: Report, max_layer_bytes: int
) -> Image:
    parsed = parse_config(stored.config)
    identifier = digest_of(stored.config)
    subject = f"image {stored.tags[0] if stored.tags else short_id(identifier)}"
    report(Progress(subject=subject, step="loading"))
    layers = await _layers(archive, stored, parsed, store, max_layer_bytes)
    config = Descriptor(media_type=OCI_CONFIG, digest=identifier, size_bytes=len(stored.config))
    manifest = stored.manifest or encode_manifest(config, [layer.blob for layer in layers])
    await anyio.to_thread.run_sync(store.write_blob, stored.config)
    manifest_digest = await anyio.to_thread.run_sync(store.write_blob, manifest)
    report(Progress(subject=subject, step="loaded", detail=short_id(identifier), done=True))
    return Image(
        id=identifier,
        manifest_digest=manifest_digest,
        config=parsed.config,
        layers=tuple(layers),
        history=parsed.history,
        tags=stored.tags,
        created_at=timestamp(parsed.config.created),
        size_bytes=sum(layer.size_bytes for layer in layers),
    )


async def _layers(
    archive: _Archive,
    stored: _Stored,
    parsed: ParsedConfig,
    store: ContentStore,
    max_layer_bytes: int,
) -> list[Layer]:
    if len(stored.layers) != len(parsed.diff_ids):
        raise _invalid("it has not as many layers as its configuration says")
    found: list[Layer] = []
    chains = chain_ids(parsed.diff_ids)
    for (name, described), diff_id, chain in zip(
        stored.layers, parsed.diff_ids, chains, strict=True
    ):
        member = archive.member(name)
        blob = described
        if blob is None:
            blob = await anyio.to_thread.run_sync(_describe, archive, member, diff_id)
        async with store.exclusive(blob.digest):
            layer = await known_layer(store, blob, chain) or await add_layer(
                store,
                archive.pieces(member),
                blob,
                diff_id,
                chain,
                max_bytes=max_layer_bytes,
                keep_blob=not store.has_blob(blob.digest),
            )
        found.append(layer)
    return found


def _describe(archive: _Archive, member: _Member, diff_id: str) -> Descriptor:
    """A layer's descriptor where the archive has none; a plain tar is its own diff id."""
    head = archive.read(member, 0, 4)
    if head.startswith(b"\x1f\x8b"):
        kind, digest = _GZIP_LAYER, archive.digest(member)
    elif head == b"\x28\xb5\x2f\xfd":
        kind, digest = _ZSTD_LAYER, archive.digest(member)
    else:
        kind, digest = OCI_LAYER, diff_id
    return Descriptor(media_type=kind, digest=digest, size_bytes=member.size)


def _blob(archive: _Archive, digest: str) -> bytes:
    data = archive.document(_blob_name(digest))
    if digest_of(data) != digest:
        raise Failed(
            f"the archive's {digest} is damaged",
            code="digest-mismatch",
            about=digest,
            hint="save the image again",
        )
    return data


def _blob_name(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _invalid(problem: str) -> InvalidInput:
    return InvalidInput(
        f"not an image archive: {problem}",
        code="image-archive-invalid",
        hint="give a file written by `docker save`, `podman save` or `skopeo copy`",
    )
