"""Images in one tar file: docker-archive (`docker save`) and oci-archive, read into the store."""

from __future__ import annotations

import hashlib
import json
import os
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
from orchestrator.images.digest import has_digest, split_digest
from orchestrator.images.layers import add_layer, known_layer
from orchestrator.images.manifest import (
    OCI_CONFIG,
    OCI_LAYER,
    Index,
    Manifest,
    choose,
    encode_manifest,
    host_platform,
    parse_manifest,
)
from orchestrator.images.reference import parse_reference
from orchestrator.images.settle import settle_layers
from orchestrator.images.tarindex import Member, index
from orchestrator.model.events import Progress, Report
from orchestrator.model.ids import short_id
from orchestrator.model.image import Descriptor, Image, Layer

_PIECE = 512 << 10
_DOCUMENT_MAX = 16 << 20
_DOCUMENTS_MAX = 128 << 20
_IMAGES_MAX = 10_000
_NAME_ANNOTATIONS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_GZIP_LAYER = OCI_LAYER + "+gzip"
_ZSTD_LAYER = OCI_LAYER + "+zstd"
_WRONG = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may come to, in bytes: uncompressed as a whole, and each of its layers."""

    archive_bytes: int = 256 << 30
    layer_bytes: int = 64 << 30


@dataclass(frozen=True, slots=True)
class _Stored:
    """One image of an archive: its documents, and its layers' members, lowest first."""

    config: bytes
    manifest: bytes | None
    layers: tuple[tuple[str, Descriptor | None], ...]
    tags: tuple[str, ...]


class _Archive:
    """The files of an uncompressed tar, read in place. Blocking."""

    def __init__(self, path: Path) -> None:
        self._documents = 0
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._members = index(lambda offset, size: os.pread(self._fd, size, offset))
        except BaseException:
            os.close(self._fd)
            raise

    def close(self) -> None:
        os.close(self._fd)

    def __contains__(self, name: str) -> bool:
        return os.path.normpath(name) in self._members

    def member(self, name: str) -> Member:
        found = self._members.get(os.path.normpath(name))
        if found is None:
            raise _invalid(f"{name[:200]} is missing from the archive")
        return found

    def document(self, name: str) -> bytes:
        member = self.member(name)
        self._documents += member.size
        if member.size > _DOCUMENT_MAX or self._documents > _DOCUMENTS_MAX:
            raise _invalid(f"{name[:200]} has {member.size} bytes, which is too much")
        return self.read(member, 0, member.size)

    def read(self, member: Member, position: int, size: int) -> bytes:
        return os.pread(self._fd, min(size, member.size - position), member.offset + position)

    def digest(self, member: Member) -> str:
        sha = hashlib.sha256()
        position = 0
        while piece := self.read(member, position, _PIECE):
            sha.update(piece)
            position += len(piece)
        return "sha256:" + sha.hexdigest()


async def load_archive(
    source: Path | AsyncIterator[bytes], store: ContentStore, report: Report, limits: Limits
) -> list[Image]:
    """The images of an archive, their content stored, with the tags it gives them; the archive may
    be compressed with gzip or zstd.

    Raises: InvalidInput: it is no image archive. Failed: it is damaged, or too large.
    """
    async with _opened(source, store, limits) as archive:
        images = await anyio.to_thread.run_sync(_images, archive)
        return [await _load(archive, stored, store, report, limits) for stored in images]


@asynccontextmanager
async def _opened(
    source: Path | AsyncIterator[bytes], store: ContentStore, limits: Limits
) -> AsyncGenerator[_Archive]:
    """The archive, in a temporary file where it has to be: it is read from its end first."""
    spooled: Path | None = None
    try:
        try:
            if not isinstance(source, Path) or await anyio.to_thread.run_sync(_is_packed, source):
                spooled = store.scratch()
                await _spool(source, spooled, limits.archive_bytes)
            path = spooled or source
            assert isinstance(path, Path)
            archive = await anyio.to_thread.run_sync(_Archive, path)
        except ValueError as error:
            raise _invalid(f"this is not a whole tar archive: {error}") from error
        except OSError as error:
            raise Failed(
                f"an image archive cannot be read: {error.strerror}",
                code="image-archive-unreadable",
                about=str(error.filename or ""),
                hint="see that the file is there, and that the disk of data_dir is not full",
            ) from error
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


async def _spool(source: Path | AsyncIterator[bytes], target: Path, max_bytes: int) -> None:
    file = await anyio.to_thread.run_sync(_create, target)
    size = 0

    def keep(data: bytes) -> None:
        nonlocal size
        size += len(data)
        if size > max_bytes:
            raise Failed(
                f"an image archive is larger than {max_bytes} bytes",
                code="image-archive-too-large",
                hint="raise max_archive_bytes in the settings if it is to be trusted",
            )
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
    finally:
        await anyio.to_thread.run_sync(file.close)


def _create(path: Path) -> BufferedWriter:
    return path.open("wb")


def _images(archive: _Archive) -> list[_Stored]:
    try:
        described = _oci_entries(archive)
        if "manifest.json" in archive:
            manifests = _by_config(archive, described)
            listed = _few(json.loads(archive.document("manifest.json")))
            return [_of_docker(archive, entry, manifests) for entry in listed]
        if "index.json" in archive:
            return _merged([_of_oci(archive, entry) for entry in described])
    except _WRONG as error:
        problem = f"the archive's list of images is damaged: {error!r}"
        raise _invalid(problem[:300]) from error
    raise _invalid("it has neither manifest.json nor index.json")


def _oci_entries(archive: _Archive) -> list[Any]:
    if "index.json" not in archive:
        return []
    return _few(json.loads(archive.document("index.json"))["manifests"])


def _few(listed: Any) -> list[Any]:
    if not isinstance(listed, list) or len(listed) > _IMAGES_MAX:
        raise ValueError("it is no list, or a very long one")
    return listed


def _of_docker(
    archive: _Archive, entry: Mapping[str, Any], manifests: Mapping[str, tuple[bytes, Manifest]]
) -> _Stored:
    """Source: Docker's image specification 1.2, "Combined Image JSON + Filesystem Changeset"."""
    config = archive.document(str(entry["Config"]))
    tags = tuple(str(parse_reference(str(tag))) for tag in entry.get("RepoTags") or ())
    names = tuple(str(name) for name in entry.get("Layers") or ())
    # An archive that is an OCI layout too has the manifest, which keeps the image's digest.
    manifest, parsed = manifests.get(digest_of(config), (None, None))
    if parsed is not None and len(parsed.layers) == len(names):
        blobs = tuple((_blob_name(layer.digest), layer) for layer in parsed.layers)
        if all(name in archive for name, _ in blobs):
            return _Stored(config, manifest, blobs, tags)
    return _Stored(config, None, tuple((name, None) for name in names), tags)


def _by_config(archive: _Archive, entries: list[Any]) -> dict[str, tuple[bytes, Manifest]]:
    """The manifests of an OCI layout, by their configuration's digest; what is damaged or missing
    is passed over, as manifest.json says all that is needed."""
    found: dict[str, tuple[bytes, Manifest]] = {}
    for entry in entries:
        try:
            data = _blob(archive, str(entry["digest"]))
            parsed = parse_manifest(data)
        except (*_WRONG, InvalidInput, Failed):
            continue
        if isinstance(parsed, Manifest):
            found[parsed.config.digest] = (data, parsed)
    return found


def _of_oci(archive: _Archive, entry: Mapping[str, Any]) -> _Stored:
    """Source: OCI image specification, "Image Layout"."""
    annotations = entry.get("annotations") or {}
    named = next((str(annotations[k]) for k in _NAME_ANNOTATIONS if k in annotations), "")
    # Some tools note only the tag there, which names no image.
    tags = (str(parse_reference(named)),) if "/" in named or ":" in named else ()
    data = _blob(archive, str(entry["digest"]))
    parsed = parse_manifest(data)
    for _ in range(2):
        if isinstance(parsed, Index):
            about = named or "the archive"
            data = _blob(archive, choose(parsed, host_platform(), about).digest)
            parsed = parse_manifest(data)
    if isinstance(parsed, Index):
        raise _invalid("an index of indexes is not an image")
    return _Stored(
        config=_blob(archive, parsed.config.digest),
        manifest=data,
        layers=tuple((_blob_name(layer.digest), layer) for layer in parsed.layers),
        tags=tags,
    )


def _merged(images: list[_Stored]) -> list[_Stored]:
    """The images, one with all its tags where an index names it several times."""
    found: dict[bytes, _Stored] = {}
    for image in images:
        known = found.setdefault(image.config, image)
        tags = tuple(dict.fromkeys((*known.tags, *image.tags)))
        found[image.config] = _Stored(known.config, known.manifest, known.layers, tags)
    return list(found.values())


async def _load(
    archive: _Archive, stored: _Stored, store: ContentStore, report: Report, limits: Limits
) -> Image:
    parsed = parse_config(stored.config)
    identifier = digest_of(stored.config)
    named = parse_reference(stored.tags[0]).familiar if stored.tags else short_id(identifier)
    subject = f"image {named}"
    report(Progress(subject=subject, step="loading"))
    loading = _Loading(archive, store, report, limits, subject)
    layers = await loading.layers(stored, parsed)
    await settle_layers(store, layers)
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


@dataclass(frozen=True, slots=True)
class _Loading:
    """One image's layers on their way from the archive to the store."""

    archive: _Archive
    store: ContentStore
    report: Report
    limits: Limits
    subject: str

    async def layers(self, stored: _Stored, parsed: ParsedConfig) -> list[Layer]:
        if len(stored.layers) != len(parsed.diff_ids):
            raise _invalid("it has not as many layers as its configuration says")
        found: list[Layer] = []
        chains = chain_ids(parsed.diff_ids)
        for (name, described), diff_id, chain in zip(
            stored.layers, parsed.diff_ids, chains, strict=True
        ):
            member = self.archive.member(name)
            blob = described
            if blob is None:
                blob = await anyio.to_thread.run_sync(_describe, self.archive, member, diff_id)
            found.append(await self._layer(member, blob, diff_id, chain))
        return found

    async def _layer(self, member: Member, blob: Descriptor, diff_id: str, chain: str) -> Layer:
        async with self.store.exclusive(blob.digest):
            if known := await known_layer(self.store, blob, chain):
                return known
            return await add_layer(
                self.store,
                self._pieces(member, diff_id),
                blob,
                diff_id,
                chain,
                max_bytes=self.limits.layer_bytes,
                keep_blob=not self.store.has_blob(blob.digest),
            )

    async def _pieces(self, member: Member, diff_id: str) -> AsyncGenerator[bytes]:
        position = 0
        while piece := await anyio.to_thread.run_sync(self.archive.read, member, position, _PIECE):
            yield piece
            position += len(piece)
            self.report(
                Progress(
                    subject=self.subject,
                    step="loading layer",
                    detail=short_id(diff_id),
                    current=position,
                    total=member.size,
                )
            )


def _describe(archive: _Archive, member: Member, diff_id: str) -> Descriptor:
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
    if not has_digest(data, digest):
        raise Failed(
            f"the archive's {digest} is damaged",
            code="digest-mismatch",
            about=digest,
            hint="save the image again",
        )
    return data


def _blob_name(digest: str) -> str:
    return "blobs/" + "/".join(split_digest(digest))


def _invalid(problem: str) -> InvalidInput:
    return InvalidInput(
        f"not an image archive: {problem}",
        code="image-archive-invalid",
        hint="give a file written by `docker save`, `podman save` or `skopeo copy`",
    )
