"""An image from the content store to a registry: what is missing there, then its manifest.

Keeps no record: that the image now has a digest at the registry is the engine's to remember.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import anyio
import anyio.to_thread

from orchestrator.images.connect import open_registry
from orchestrator.images.content import ContentStore
from orchestrator.images.layers import single_errors
from orchestrator.images.manifest import (
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_MANIFEST,
    Manifest,
    encode_manifest,
    parse_manifest,
)
from orchestrator.images.packing import is_packed, pack_layer
from orchestrator.images.reference import Reference
from orchestrator.images.upload import Uploads
from orchestrator.model.events import Progress, Report
from orchestrator.model.ids import short_id
from orchestrator.model.image import Descriptor, Image, Layer
from orchestrator.settings import Settings
from orchestrator.wire.credentials import Credentials

_SOURCES_TRIED = 3
_REPORT_EVERY = 1 << 20

# The repositories of the same registry that have a blob, by its digest.
Sources = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Pushed:
    """What is at the registry now: the manifest's digest and size in bytes. `image` has the blobs
    and the manifest that it was pushed with."""

    reference: Reference
    digest: str
    size_bytes: int
    image: Image


@dataclass(frozen=True, slots=True)
class _Push:
    uploads: Uploads
    store: ContentStore
    sources: Sources
    subject: str
    report: Report
    slots: anyio.CapacityLimiter


async def push_image(
    image: Image,
    reference: Reference,
    store: ContentStore,
    settings: Settings,
    report: Report,
    *,
    sources: Sources | None = None,
    slots: anyio.CapacityLimiter | None = None,
    credentials: Credentials | None = None,
) -> Pushed:
    """What pushing the image to reference, which has a tag, came to. `slots` bounds how many blobs
    are on their way at once; pushes may share one.

    Raises: Denied, Unavailable, NotFound, Failed, each saying what to do.
    """
    subject = f"image {reference.familiar}"
    report(Progress(subject=subject, step="pushing"))
    async with open_registry(reference, settings, credentials, actions="pull,push") as registry:
        push = _Push(
            Uploads(registry.own, reference.familiar, settings.upload_chunk_bytes),
            store,
            sources or {},
            subject,
            report,
            slots or anyio.CapacityLimiter(max(1, settings.max_uploads)),
        )
        kept = await anyio.to_thread.run_sync(_kept_manifest, store, image)
        image = await _push_layers(push, image, as_is=kept is not None)
        config = await anyio.to_thread.run_sync(store.read_blob, image.id)
        described = Descriptor(media_type=OCI_CONFIG, digest=image.id, size_bytes=len(config))
        await _push_blob(push, described, described.digest, quiet=True)
        if kept is None:
            kept = await anyio.to_thread.run_sync(_new_manifest, store, image, described)
        raw, media_type = kept
        digest = await anyio.to_thread.run_sync(store.write_blob, raw)
        await push.uploads.put_manifest(reference.tag, raw, media_type)
    report(Progress(subject=subject, step="pushed", detail=digest, done=True))
    named = f"{reference.name}@{digest}"
    digests = tuple(dict.fromkeys((*image.digests, named)))
    return Pushed(
        reference, digest, len(raw), replace(image, manifest_digest=digest, digests=digests)
    )


def _kept_manifest(store: ContentStore, image: Image) -> tuple[bytes, str] | None:
    """The manifest that the image came with and its media type, where it can be pushed as it is:
    then the image has the same digest everywhere. Blocking."""
    if not store.has_blob(image.manifest_digest):
        return None
    raw = store.read_blob(image.manifest_digest)
    manifest = parse_manifest(raw)
    if not isinstance(manifest, Manifest) or manifest.config.digest != image.id:
        return None
    if [layer.digest for layer in manifest.layers] != [layer.blob.digest for layer in image.layers]:
        return None
    came_from_registry = bool(image.digests)
    for layer in image.layers:
        if not (
            store.has_blob(layer.blob.digest) if came_from_registry else is_packed(store, layer)
        ):
            return None
    return raw, manifest.media_type


def _new_manifest(store: ContentStore, image: Image, config: Descriptor) -> tuple[bytes, str]:
    """A manifest of the image's blobs, in the format that the image's own had. Blocking."""
    media_type = OCI_MANIFEST
    if store.has_blob(image.manifest_digest):
        was = parse_manifest(store.read_blob(image.manifest_digest))
        if isinstance(was, Manifest) and was.media_type == DOCKER_MANIFEST:
            media_type = DOCKER_MANIFEST
    return encode_manifest(config, [layer.blob for layer in image.layers], media_type), media_type


async def _push_layers(push: _Push, image: Image, *, as_is: bool) -> Image:
    """The image with its layers as they are at the registry now."""
    found: dict[str, Layer] = {}
    # The same blob may be in an image twice.
    first = {layer.chain_id: layer for layer in image.layers}

    async def one(layer: Layer) -> None:
        blob = layer.blob
        async with push.store.exclusive(f"push {layer.diff_id}"), push.slots:
            if not as_is:
                blob = await anyio.to_thread.run_sync(pack_layer, push.store, layer)
            await _push_blob(push, blob, layer.diff_id)
        found[layer.chain_id] = replace(layer, blob=blob)

    for layer in first.values():
        _tell(push, layer.diff_id, "preparing", 0, layer.blob.size_bytes)
    with single_errors():
        async with anyio.create_task_group() as tasks:
            for layer in first.values():
                tasks.start_soon(one, layer)
    return replace(image, layers=tuple(found[layer.chain_id] for layer in image.layers))


async def _push_blob(push: _Push, blob: Descriptor, shown: str, *, quiet: bool = False) -> None:
    """Nothing, once the registry has the blob: it had it, another repository of it did, or it was
    sent."""

    def tell(step: str, current: int) -> None:
        if not quiet:
            _tell(push, shown, step, current, blob.size_bytes)

    if await push.uploads.has(blob):
        return tell("already there", blob.size_bytes)
    location = ""
    for source in push.sources.get(blob.digest, ())[:_SOURCES_TRIED]:
        mounted, location = await push.uploads.mount(blob, source)
        if mounted:
            return tell(f"mounted from {source}", blob.size_bytes)
        if location:
            break
    told = 0

    def sent(position: int) -> None:
        nonlocal told
        if position - told >= _REPORT_EVERY or position < told:
            told = position
            tell("sending", position)

    tell("sending", 0)
    await push.uploads.send(blob, push.store.blob_path(blob.digest), sent, location)
    return tell("layer pushed", blob.size_bytes)


def _tell(push: _Push, digest: str, step: str, current: int, total: int) -> None:
    push.report(
        Progress(
            subject=push.subject,
            step=step,
            detail=short_id(digest),
            current=current,
            total=total,
        )
    )
