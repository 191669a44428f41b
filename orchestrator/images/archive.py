"""Images in one tar file: docker-archive (`docker save`) and oci-archive, read into the store."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from orchestrator.errors import Failed, InvalidInput
from orchestrator.images.archive_file import PIECE, ArchiveFile, Limits, blob_name, invalid, opened
from orchestrator.images.chain import chain_ids
from orchestrator.images.config import ParsedConfig, parse_config, timestamp
from orchestrator.images.content import ContentStore, digest_of
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
from orchestrator.images.tarindex import Member
from orchestrator.model.events import Progress, Report
from orchestrator.model.ids import short_id
from orchestrator.model.image import Descriptor, Image, Layer

_REPORT_EVERY = 4 << 20
_IMAGES_MAX = 10_000
_NAME_ANNOTATIONS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_GZIP_LAYER = OCI_LAYER + "+gzip"
_ZSTD_LAYER = OCI_LAYER + "+zstd"
_WRONG = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True, slots=True)
class _Stored:
    """One image of an archive: its documents, and its layers' members, lowest first."""

    config: bytes
    manifest: bytes | None
    layers: tuple[tuple[str, Descriptor | None], ...]
    tags: tuple[str, ...]


async def load_archive(
    source: Path | AsyncIterator[bytes], store: ContentStore, report: Report, limits: Limits
) -> list[Image]:
    """The images of an archive, their content stored, with the tags it gives them; the archive may
    be compressed with gzip or zstd.

    Raises: InvalidInput: it is no image archive. Failed: it is damaged, or too large.
    """
    async with opened(source, store, limits) as archive:
        images = await anyio.to_thread.run_sync(_images, archive)
        return [await _load(archive, stored, store, report, limits) for stored in images]


def _images(archive: ArchiveFile) -> list[_Stored]:
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
        raise invalid(problem[:300]) from error
    raise invalid("it has neither manifest.json nor index.json")


def _oci_entries(archive: ArchiveFile) -> list[Any]:
    if "index.json" not in archive:
        return []
    return _few(json.loads(archive.document("index.json"))["manifests"])


def _few(listed: Any) -> list[Any]:
    if not isinstance(listed, list) or len(listed) > _IMAGES_MAX:
        raise ValueError("it is no list, or a very long one")
    return listed


def _of_docker(
    archive: ArchiveFile, entry: Mapping[str, Any], manifests: Mapping[str, tuple[bytes, Manifest]]
) -> _Stored:
    """Source: Docker's image specification 1.2, "Combined Image JSON + Filesystem Changeset"."""
    config = archive.document(str(entry["Config"]))
    tags = tuple(str(parse_reference(str(tag))) for tag in entry.get("RepoTags") or ())
    names = tuple(str(name) for name in entry.get("Layers") or ())
    # An archive that is an OCI layout too has the manifest, which keeps the image's digest.
    manifest, parsed = manifests.get(digest_of(config), (None, None))
    if parsed is not None and len(parsed.layers) == len(names):
        blobs = tuple((blob_name(layer.digest), layer) for layer in parsed.layers)
        if all(name in archive for name, _ in blobs):
            return _Stored(config, manifest, blobs, tags)
    return _Stored(config, None, tuple((name, None) for name in names), tags)


def _by_config(archive: ArchiveFile, entries: list[Any]) -> dict[str, tuple[bytes, Manifest]]:
    """The manifests of an OCI layout, by their configuration's digest; what is damaged or missing
    is passed over, as manifest.json says all that is needed."""
    found: dict[str, tuple[bytes, Manifest]] = {}
    for entry in entries:
        try:
            data = archive.blob(str(entry["digest"]))
            parsed = parse_manifest(data)
        except (*_WRONG, InvalidInput, Failed):
            continue
        if isinstance(parsed, Manifest):
            found[parsed.config.digest] = (data, parsed)
    return found


def _of_oci(archive: ArchiveFile, entry: Mapping[str, Any]) -> _Stored:
    """Source: OCI image specification, "Image Layout"."""
    annotations = entry.get("annotations") or {}
    named = next((str(annotations[k]) for k in _NAME_ANNOTATIONS if k in annotations), "")
    # Some tools note only the tag there, which names no image.
    tags = (str(parse_reference(named)),) if "/" in named or ":" in named else ()
    data = archive.blob(str(entry["digest"]))
    parsed = parse_manifest(data)
    for _ in range(2):
        if isinstance(parsed, Index):
            about = named or "the archive"
            data = archive.blob(choose(parsed, host_platform(), about).digest)
            parsed = parse_manifest(data)
    if isinstance(parsed, Index):
        raise invalid("an index of indexes is not an image")
    return _Stored(
        config=archive.blob(parsed.config.digest),
        manifest=data,
        layers=tuple((blob_name(layer.digest), layer) for layer in parsed.layers),
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
    archive: ArchiveFile, stored: _Stored, store: ContentStore, report: Report, limits: Limits
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

    archive: ArchiveFile
    store: ContentStore
    report: Report
    limits: Limits
    subject: str

    async def layers(self, stored: _Stored, parsed: ParsedConfig) -> list[Layer]:
        if len(stored.layers) != len(parsed.diff_ids):
            raise invalid("it has not as many layers as its configuration says")
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
            new = not self.store.has_blob(blob.digest)
            # One that is not compressed may well be a layer that packs to the same bytes again.
            plain = blob.digest == diff_id
            return await add_layer(
                self.store,
                self._pieces(member, diff_id),
                blob,
                diff_id,
                chain,
                max_bytes=self.limits.layer_bytes,
                keep_blob=new and not plain,
                again=partial(self.archive.copy, member) if new and plain else None,
            )

    async def _pieces(self, member: Member, diff_id: str) -> AsyncGenerator[bytes]:
        position = told = 0
        while piece := await anyio.to_thread.run_sync(self.archive.read, member, position, PIECE):
            yield piece
            position += len(piece)
            if position - told < _REPORT_EVERY and position < member.size:
                continue
            told = position
            self.report(
                Progress(
                    subject=self.subject,
                    step="loading layer",
                    detail=short_id(diff_id),
                    current=position,
                    total=member.size,
                )
            )


def _describe(archive: ArchiveFile, member: Member, diff_id: str) -> Descriptor:
    """A layer's descriptor where the archive has none; a plain tar is its own diff id."""
    head = archive.read(member, 0, 4)
    if head.startswith(b"\x1f\x8b"):
        kind, digest = _GZIP_LAYER, archive.digest(member)
    elif head == b"\x28\xb5\x2f\xfd":
        kind, digest = _ZSTD_LAYER, archive.digest(member)
    else:
        kind, digest = OCI_LAYER, diff_id
    return Descriptor(media_type=kind, digest=digest, size_bytes=member.size)
