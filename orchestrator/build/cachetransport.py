"""Cached steps from other machines, and for them.

They travel as images: the history of each has, in its comments, the cache key of the step behind
the line. So one form serves a directory (an OCI layout), a registry, and the built image itself.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.errors import Failed, InvalidInput, PystackError
from orchestrator.images.chain import chain_ids
from orchestrator.images.config import ParsedConfig, parse_config
from orchestrator.images.content import ContentStore
from orchestrator.images.layers import add_layer, known_layer, read_pieces
from orchestrator.images.manifest import Index, Manifest, parse_manifest
from orchestrator.images.registry import Registry
from orchestrator.model.image import Descriptor, History, Image, Layer

_MARK = "pystack.step/1 "

Fetch = Callable[[Descriptor], AsyncGenerator[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSpec:
    """`--cache-from` or `--cache-to`: where, and how much (`min`: the image's own steps, `max`:
    those of all its stages)."""

    kind: str
    place: str = ""
    mode: str = "min"
    ignore_error: bool = False


@dataclass(frozen=True, slots=True)
class _Step:
    """A step elsewhere: its layer's blob, diff id and chain id; `blob` None where it has none."""

    blob: Descriptor | None = None
    diff_id: str = ""
    chain: str = ""


def read_cache_spec(text: str, *, to: bool) -> CacheSpec:
    """What the text of `--cache-from` or `--cache-to` means.

    Raises: InvalidInput.  Source: docker buildx build, "--cache-from", "--cache-to".
    """
    words = dict(word.partition("=")[::2] for word in text.split(","))
    if "=" not in text:
        words = {"type": "registry", "ref": text}
    kind = words.get("type", "")
    place = {
        "local": words.get("dest" if to else "src", ""),
        "registry": words.get("ref", ""),
        "inline": "inline",
    }.get(kind)
    if place is None or not place or (kind == "inline" and not to):
        raise InvalidInput(
            f'"{text}" names no build cache',
            code="build-cache-invalid",
            about=text,
            hint="write type=local,dest=DIR, type=registry,ref=NAME, or type=inline"
            if to
            else "write type=local,src=DIR, type=registry,ref=NAME, or an image's name",
        )
    return CacheSpec(
        kind=kind,
        place=place,
        mode=words.get("mode", "min"),
        ignore_error=words.get("ignore-error") == "true",
    )


def marked(history: Sequence[History], keys: Sequence[str]) -> tuple[History, ...]:
    """The history with each step's cache key in its comment."""
    return tuple(
        replace(line, comment=_MARK + key) if key else line
        for line, key in zip(history, keys, strict=True)
    )


class FoundSteps:
    """The steps of images that are elsewhere."""

    def __init__(self, store: ContentStore, max_layer_bytes: int) -> None:
        self._store = store
        self._max_layer_bytes = max_layer_bytes
        self._steps: dict[str, tuple[_Step, Fetch]] = {}

    def add(self, manifest: Manifest, parsed: ParsedConfig, fetch: Fetch) -> None:
        """Nothing; the steps that the image's history names can be found."""
        for key, step in _steps(manifest.layers, parsed).items():
            self._steps[key] = (step, fetch)

    async def find(self, key: str) -> Layer | bool | None:
        """The step's layer, now in the store; None where the step made none; False: unknown."""
        if key not in self._steps:
            return False
        step, fetch = self._steps[key]
        if step.blob is None:
            return None
        async with self._store.exclusive(step.blob.digest):
            if known := await known_layer(self._store, step.blob, step.chain):
                return known
            try:
                async with aclosing(fetch(step.blob)) as pieces:
                    return await add_layer(
                        self._store,
                        pieces,
                        step.blob,
                        step.diff_id,
                        step.chain,
                        max_bytes=self._max_layer_bytes,
                        keep_blob=False,
                    )
            except (PystackError, OSError):
                # A cache that cannot be read costs time, and nothing else.
                del self._steps[key]
                return False


async def read_layout(steps: FoundSteps, directory: Path) -> None:
    """Nothing, once the steps of an OCI layout can be found; one that is not there has none."""
    root = anyio.Path(directory)
    if not await (root / "index.json").exists():
        return

    def blob(digest: str) -> Path:
        return directory / "blobs" / digest.replace(":", "/")

    async def fetch(descriptor: Descriptor) -> AsyncGenerator[bytes]:
        async with aclosing(read_pieces(blob(descriptor.digest))) as pieces:
            async for piece in pieces:
                yield piece

    try:
        index = json.loads(await (root / "index.json").read_bytes())
        for entry in index.get("manifests", ()):
            manifest = parse_manifest(await to_thread.run_sync(blob(entry["digest"]).read_bytes))
            if isinstance(manifest, Manifest):
                data = await to_thread.run_sync(blob(manifest.config.digest).read_bytes)
                steps.add(manifest, parse_config(data), fetch)
    except (Failed, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"{directory} holds no build cache: {error}",
            code="build-cache-invalid",
            about=str(directory),
            hint="name the directory that --cache-to type=local wrote",
        ) from error


async def read_registry(steps: FoundSteps, registry: Registry, wanted: str) -> None:
    """Nothing, once the steps of the image or index at the registry can be found.

    Raises: what the registry's answers raise.
    """
    top = parse_manifest((await registry.manifest(wanted)).data)
    found = [top] if isinstance(top, Manifest) else []
    if isinstance(top, Index):
        for descriptor, _ in top.entries:
            inner = parse_manifest((await registry.manifest(descriptor.digest)).data)
            found += [inner] if isinstance(inner, Manifest) else []
    for manifest in found:
        parsed = parse_config(await registry.small_blob(manifest.config))
        steps.add(manifest, parsed, registry.blob)


def read_image(image: Image) -> Mapping[str, Layer | None]:
    """The steps that the history of an image of this engine names, by key."""
    parsed = ParsedConfig(image.config, tuple(x.diff_id for x in image.layers), image.history)
    layers = {layer.chain_id: layer for layer in image.layers}
    found = _steps(tuple(layer.blob for layer in image.layers), parsed)
    return {key: layers.get(step.chain) for key, step in found.items()}


def _steps(blobs: Sequence[Descriptor], parsed: ParsedConfig) -> dict[str, _Step]:
    """The steps by key. Lines and layers are matched from the end: a base image's history need
    not tell of all its layers."""
    chains = chain_ids(parsed.diff_ids)
    found: dict[str, _Step] = {}
    at = len(chains)
    for line in reversed(parsed.history):
        step = _Step()
        if not line.empty:
            at -= 1
            if at < 0:
                break
            step = _Step(blobs[at], parsed.diff_ids[at], chains[at])
        if line.comment.startswith(_MARK):
            found[line.comment.removeprefix(_MARK)] = step
    return found
