"""An image from a registry into the content store. Keeps no record of it: that is the engine's.

Layers come a few at a time, each through download, hash, decompression and unpacking at once, and
each at most once: a second pull of the same layer waits for the first and finds it here. What an
interrupted pull had of a layer the next one need not fetch again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from orchestrator.aio.slot import Slot
from orchestrator.errors import Failed, NotFound
from orchestrator.images.chain import chain_ids
from orchestrator.images.config import ParsedConfig, parse_config, timestamp
from orchestrator.images.connect import open_registry
from orchestrator.images.content import ContentStore, digest_of
from orchestrator.images.layers import add_layer, known_layer, read_pieces, single_errors
from orchestrator.images.manifest import (
    DOCKER_CONFIG,
    OCI_CONFIG,
    Index,
    Manifest,
    Platform,
    choose,
    parse_manifest,
    parse_platform,
)
from orchestrator.images.reference import Reference
from orchestrator.images.registry import Registry
from orchestrator.images.settle import settle_layers
from orchestrator.model.events import Progress, Report
from orchestrator.model.ids import short_id
from orchestrator.model.image import Descriptor, Image, Layer
from orchestrator.settings import Settings
from orchestrator.wire.credentials import Credentials

# The last is what the first versions of the format had.
_CONFIGS = (OCI_CONFIG, DOCKER_CONFIG, "application/octet-stream", "application/json")
_REPORT_EVERY = 1 << 20
_DAMAGE = frozenset({"digest-mismatch", "layer-damaged", "unpack-failed"})


@dataclass(frozen=True, slots=True)
class _Pull:
    """What every step of one pull needs."""

    registry: Registry
    store: ContentStore
    settings: Settings
    subject: str
    report: Report
    downloads: anyio.CapacityLimiter
    unpacking: anyio.CapacityLimiter


async def pull_image(
    reference: Reference,
    store: ContentStore,
    settings: Settings,
    platform: str,
    report: Report,
    downloads: anyio.CapacityLimiter | None = None,
    credentials: Credentials | None = None,
) -> Image:
    """The image at reference for the platform ("" is this machine's), its content stored.

    `downloads` bounds how many layers are on their way at once; pulls may share one. `credentials`
    go before those that the engine's user has.

    Raises: NotFound, Denied, Unavailable, Failed, InvalidInput, each saying what to do.
    """
    wanted = parse_platform(platform)
    subject = f"image {reference.familiar}"
    report(Progress(subject=subject, step="pulling"))
    async with open_registry(reference, settings, credentials) as registry:
        pull = _Pull(
            registry,
            store,
            settings,
            subject,
            report,
            downloads or anyio.CapacityLimiter(max(1, settings.max_downloads)),
            anyio.CapacityLimiter(2 * max(1, settings.max_downloads)),
        )
        top = await registry.manifest(reference.wanted)
        manifest, raw = await _resolve(pull, top.data, wanted, reference)
        _check_kind(manifest, reference)
        config = await _config(pull, manifest.config)
        parsed = parse_config(config)
        if platform:
            _check_platform(parsed, wanted, reference)
        report(Progress(subject=subject, step="found", detail=top.digest))
        layers = await _layers(pull, manifest, parsed)
    await settle_layers(store, layers)
    await anyio.to_thread.run_sync(store.write_blob, config)
    # Ids are sha256 whatever the registry's own digests are.
    identifier = digest_of(config)
    manifest_digest = await anyio.to_thread.run_sync(store.write_blob, raw)
    report(Progress(subject=subject, step="pulled", detail=short_id(identifier), done=True))
    return Image(
        id=identifier,
        manifest_digest=manifest_digest,
        config=parsed.config,
        layers=tuple(layers),
        history=parsed.history,
        tags=() if reference.digest else (str(reference),),
        digests=(f"{reference.name}@{top.digest}",),
        created_at=timestamp(parsed.config.created),
        size_bytes=sum(layer.size_bytes for layer in layers),
    )


async def _resolve(
    pull: _Pull, data: bytes, wanted: Platform, reference: Reference
) -> tuple[Manifest, bytes]:
    """The manifest for the platform and its bytes; indexes may be nested, but not deep."""
    for _ in range(3):
        parsed = parse_manifest(data)
        if isinstance(parsed, Manifest):
            return parsed, data
        entry = choose(parsed, wanted, reference.familiar)
        data = (await pull.registry.manifest(entry.digest)).data
    if isinstance(parsed, Index):
        raise Failed(
            f"{reference.familiar} is an index of indexes",
            code="image-manifest-invalid",
            about=reference.familiar,
            hint="push the image again with a current tool",
        )
    return parsed, data


async def _config(pull: _Pull, descriptor: Descriptor) -> bytes:
    if pull.store.has_blob(descriptor.digest):
        return await anyio.to_thread.run_sync(pull.store.read_blob, descriptor.digest)
    return await pull.registry.small_blob(descriptor)


def _check_kind(manifest: Manifest, reference: Reference) -> None:
    """Nothing, if it is an image: registries keep charts, signatures and other things too."""
    kind = manifest.config.media_type
    if kind and not kind.startswith(_CONFIGS):
        raise Failed(
            f"{reference.familiar} is no container image but {kind}",
            code="not-an-image",
            about=reference.familiar,
            hint="what is kept there is for another tool",
        )


def _check_platform(parsed: ParsedConfig, wanted: Platform, reference: Reference) -> None:
    have = Platform(parsed.config.os, parsed.config.architecture, parsed.config.variant)
    if (have.os, have.architecture) != (wanted.os, wanted.architecture):
        raise NotFound(
            f"{reference.familiar} has no image for {wanted}",
            code="no-such-platform",
            about=reference.familiar,
            hint=f"it is for {have} only",
        )


async def _layers(pull: _Pull, manifest: Manifest, parsed: ParsedConfig) -> list[Layer]:
    if len(manifest.layers) != len(parsed.diff_ids):
        raise Failed(
            f"{pull.subject} has {len(manifest.layers)} layers but {len(parsed.diff_ids)} diff ids",
            code="image-config-invalid",
            about=pull.subject,
            hint="the image is damaged, or is not a container image",
        )
    found: dict[str, Layer] = {}

    async def one(blob: Descriptor, diff_id: str, chain: str) -> None:
        found[chain] = await _layer(pull, blob, diff_id, chain)

    chains = chain_ids(parsed.diff_ids)
    with single_errors():
        async with anyio.create_task_group() as tasks:
            for blob, diff_id, chain in zip(manifest.layers, parsed.diff_ids, chains, strict=True):
                tasks.start_soon(one, blob, diff_id, chain)
    return [found[chain] for chain in chains]


async def _layer(pull: _Pull, blob: Descriptor, diff_id: str, chain: str) -> Layer:
    """The layer, present when this returns."""
    async with pull.store.exclusive(blob.digest):
        if found := await known_layer(pull.store, blob, chain):
            _tell(pull, blob, "already here", blob.size_bytes)
            return found
        if blob.size_bytes > pull.settings.max_layer_bytes:
            raise Failed(
                f"a layer of {pull.subject} has {blob.size_bytes} bytes",
                code="layer-too-large",
                about=blob.digest,
                hint="raise max_layer_bytes in the settings if the image is to be trusted",
            )
        _tell(pull, blob, "waiting", 0)
        async with pull.unpacking, Slot(pull.downloads) as slot:
            if pull.store.has_blob(blob.digest):
                pieces = read_pieces(pull.store.blob_path(blob.digest))
                return await _add(pull, slot, pieces, blob, diff_id, chain)
            grown = pull.store.partial_path(blob.digest)
            start = await anyio.to_thread.run_sync(_usable_bytes, grown, blob.size_bytes)
            try:
                pieces = _resumed(pull.registry, blob, grown, start)
                return await _add(pull, slot, pieces, blob, diff_id, chain, grown)
            except Failed as problem:
                if not (start or pull.registry.mirrored) or problem.code not in _DAMAGE:
                    raise
                # A mirror is not the authority, and what was kept may have been damaged since.
                pieces = pull.registry.blob(blob, mirrors=False)
                return await _add(pull, slot, pieces, blob, diff_id, chain, grown)


def _usable_bytes(grown: Path, size: int) -> int:
    """How much of the blob an earlier pull left. Blocking."""
    try:
        kept = grown.stat().st_size
    except FileNotFoundError:
        return 0
    if kept > size:
        grown.unlink()
        return 0
    return kept


async def _resumed(
    registry: Registry, blob: Descriptor, grown: Path, start: int
) -> AsyncGenerator[bytes]:
    """The blob: what is kept of it, then what is missing."""
    left = start
    if start:
        async with aclosing(read_pieces(grown)) as kept:
            async for piece in kept:
                # The file grows while it is read.
                yield piece[:left]
                left -= len(piece)
                if left <= 0:
                    break
    async with aclosing(registry.blob(blob, start)) as pieces:
        async for piece in pieces:
            yield piece


async def _add(
    pull: _Pull,
    slot: Slot,
    pieces: AsyncGenerator[bytes],
    blob: Descriptor,
    diff_id: str,
    chain: str,
    grown: Path | None = None,
) -> Layer:
    async def counted() -> AsyncGenerator[bytes]:
        count = told = 0
        async for piece in pieces:
            count += len(piece)
            if count - told >= _REPORT_EVERY:
                told = count
                _tell(pull, blob, "downloading", count)
            yield piece
        # What is left to do for this layer is the disk's; the next one can come meanwhile.
        slot.free()
        _tell(pull, blob, "unpacking", blob.size_bytes)

    await slot.take()
    async with aclosing(pieces):
        layer = await add_layer(
            pull.store,
            counted(),
            blob,
            diff_id,
            chain,
            max_bytes=pull.settings.max_layer_bytes,
            keep_blob=grown is not None,
            grown=grown,
        )
    _tell(pull, blob, "layer done", blob.size_bytes)
    return layer


def _tell(pull: _Pull, blob: Descriptor, step: str, current: int) -> None:
    pull.report(
        Progress(
            subject=pull.subject,
            step=step,
            detail=short_id(blob.digest),
            current=current,
            total=blob.size_bytes,
        )
    )
