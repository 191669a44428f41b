"""An image from a registry into the content store. Keeps no record of it: that is the engine's.

Layers come a few at a time, each through download, hash, decompression and unpacking at once, and
each at most once: a second pull of the same layer waits for the first and finds it here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import anyio
import anyio.to_thread

from orchestrator.errors import Failed, NotFound
from orchestrator.images.chain import chain_ids
from orchestrator.images.config import ParsedConfig, parse_config, timestamp
from orchestrator.images.content import ContentStore
from orchestrator.images.layers import add_layer, known_layer, read_pieces, single_errors
from orchestrator.images.manifest import (
    Index,
    Manifest,
    Platform,
    choose,
    parse_manifest,
    parse_platform,
)
from orchestrator.images.reference import Reference
from orchestrator.images.registry import Registry, open_registry
from orchestrator.model.events import Progress, Report
from orchestrator.model.ids import short_id
from orchestrator.model.image import Descriptor, Image, Layer
from orchestrator.settings import Settings

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


async def pull_image(
    reference: Reference,
    store: ContentStore,
    settings: Settings,
    platform: str,
    report: Report,
    downloads: anyio.CapacityLimiter | None = None,
) -> Image:
    """The image at reference for the platform ("" is this machine's), its content stored.

    `downloads` bounds how many layers are on their way at once; pulls may share one.

    Raises: NotFound, Denied, Unavailable, Failed, InvalidInput, each saying what to do.
    """
    wanted = parse_platform(platform)
    subject = f"image {reference.familiar}"
    report(Progress(subject=subject, step="pulling"))
    async with open_registry(reference, settings) as registry:
        pull = _Pull(
            registry,
            store,
            settings,
            subject,
            report,
            downloads or anyio.CapacityLimiter(max(1, settings.max_downloads)),
        )
        top = await registry.manifest(reference.wanted)
        manifest, raw, digest = await _resolve(pull, top.data, top.digest, wanted, reference)
        config = await _config(pull, manifest.config)
        parsed = parse_config(config)
        if platform:
            _check_platform(parsed, wanted, reference)
        layers = await _layers(pull, manifest, parsed)
    await anyio.to_thread.run_sync(store.write_blob, config)
    await anyio.to_thread.run_sync(store.write_blob, raw)
    report(
        Progress(subject=subject, step="pulled", detail=short_id(manifest.config.digest), done=True)
    )
    return Image(
        id=manifest.config.digest,
        manifest_digest=digest,
        config=parsed.config,
        layers=tuple(layers),
        history=parsed.history,
        tags=() if reference.digest else (str(reference),),
        digests=(f"{reference.name}@{top.digest}",),
        created_at=timestamp(parsed.config.created),
        size_bytes=sum(layer.size_bytes for layer in layers),
    )


async def _resolve(
    pull: _Pull, data: bytes, digest: str, wanted: Platform, reference: Reference
) -> tuple[Manifest, bytes, str]:
    """The manifest for the platform, its bytes and digest; indexes may be nested, but not deep."""
    for _ in range(3):
        parsed = parse_manifest(data)
        if isinstance(parsed, Manifest):
            return parsed, data, digest
        entry = choose(parsed, wanted, reference.familiar)
        fetched = await pull.registry.manifest(entry.digest)
        data, digest = fetched.data, fetched.digest
    if isinstance(parsed, Index):
        raise Failed(
            f"{reference.familiar} is an index of indexes",
            code="image-manifest-invalid",
            about=reference.familiar,
            hint="push the image again with a current tool",
        )
    return parsed, data, digest


async def _config(pull: _Pull, descriptor: Descriptor) -> bytes:
    if pull.store.has_blob(descriptor.digest):
        return await anyio.to_thread.run_sync(pull.store.read_blob, descriptor.digest)
    return await pull.registry.small_blob(descriptor)


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
        async with pull.downloads:
            if pull.store.has_blob(blob.digest):
                pieces = read_pieces(pull.store.blob_path(blob.digest))
                return await _add(pull, pieces, blob, diff_id, chain, keep_blob=False)
            try:
                pieces = pull.registry.blob(blob)
                return await _add(pull, pieces, blob, diff_id, chain, keep_blob=True)
            except Failed as problem:
                if not pull.registry.mirrored or problem.code not in _DAMAGE:
                    raise
                # A mirror is not the authority: the registry gets a chance to do better.
                pieces = pull.registry.blob(blob, mirrors=False)
                return await _add(pull, pieces, blob, diff_id, chain, keep_blob=True)


async def _add(
    pull: _Pull,
    pieces: AsyncGenerator[bytes],
    blob: Descriptor,
    diff_id: str,
    chain: str,
    *,
    keep_blob: bool,
) -> Layer:
    async def counted() -> AsyncGenerator[bytes]:
        count = told = 0
        async for piece in pieces:
            count += len(piece)
            if count - told >= _REPORT_EVERY:
                told = count
                _tell(pull, blob, "downloading", count)
            yield piece

    async with aclosing(pieces):
        layer = await add_layer(
            pull.store,
            counted(),
            blob,
            diff_id,
            chain,
            max_bytes=pull.settings.max_layer_bytes,
            keep_blob=keep_blob,
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
