"""Manifests and indexes: JSON to descriptors and back, and the choice of a platform. Pure."""

from __future__ import annotations

import json
import platform as machine
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import Failed, InvalidInput, NotFound
from orchestrator.images.digest import split_digest
from orchestrator.model.image import Descriptor

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER_TAR = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
ACCEPTED = (OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST)
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+"
_SAID_MAX = 300

_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "aarch64": ("arm64", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i686": ("386", ""),
    "i386": ("386", ""),
    "loongarch64": ("loong64", ""),
}
_PLAIN_VARIANTS = {"arm64": "v8", "amd64": "v1"}


@dataclass(frozen=True, slots=True)
class Platform:
    """An operating system, an architecture and its variant, in Go's words."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One platform's image: its configuration and its layers, lowest first."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str = OCI_MANIFEST


@dataclass(frozen=True, slots=True)
class Index:
    """Several images under one name; `platform` None where an entry states none."""

    entries: tuple[tuple[Descriptor, Platform | None], ...]


def host_platform() -> Platform:
    """This machine's platform."""
    name = machine.machine()
    architecture, variant = _ARCHITECTURES.get(name, (name, ""))
    return Platform("linux", architecture, variant)


def parse_platform(text: str) -> Platform:
    """The platform that `os/arch[/variant]` (or just the architecture) names; "" is the host's.

    Raises: InvalidInput: it has too many parts, or an empty one.
    """
    if not text:
        return host_platform()
    parts = text.lower().split("/")
    if len(parts) == 1:
        parts.insert(0, "linux")
    if len(parts) > 3 or not all(parts):
        raise InvalidInput(
            f'"{text}" is not a platform',
            code="platform-invalid",
            about=text,
            hint="write it as linux/amd64 or linux/arm64/v8",
        )
    parts[1], default = _ARCHITECTURES.get(parts[1], (parts[1], ""))
    return Platform(parts[0], parts[1], parts[2] if len(parts) == 3 else default)


def parse_manifest(data: bytes) -> Manifest | Index:
    """What a manifest says.

    Raises: Failed: it is none, or of the withdrawn schema 1.
    Source: OCI image specification, "Image Manifest" and "Image Index"; the Docker schema 2
    documents have the same members.
    """
    try:
        return _parsed(json.loads(data))
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as e:
        raise Failed(
            f"not an image manifest: {e!r}"[:_SAID_MAX],
            code="image-manifest-invalid",
            hint="push the image again with a current tool",
        ) from e


def _parsed(top: Any) -> Manifest | Index:
    kind = str(top.get("mediaType") or "")
    if top.get("schemaVersion") == 1 or kind.startswith(_SCHEMA_1):
        raise Failed(
            "the image is in Docker's manifest format of schema 1, which was withdrawn in 2017",
            code="image-schema-1",
            hint="push the image again with a current tool",
        )
    if isinstance(top.get("manifests"), list):
        return Index(tuple((_descriptor(e), _platform(e)) for e in top["manifests"]))
    config = _descriptor(top["config"])
    if not kind:
        kind = DOCKER_MANIFEST if config.media_type == DOCKER_CONFIG else OCI_MANIFEST
    return Manifest(config, tuple(_descriptor(e) for e in top["layers"]), kind)


def encode_manifest(
    config: Descriptor, layers: Sequence[Descriptor], media_type: str = OCI_MANIFEST
) -> bytes:
    """A manifest in OCI's or in Docker's format: the same input gives the same bytes."""
    docker = media_type == DOCKER_MANIFEST
    shown = DOCKER_CONFIG if docker else OCI_CONFIG
    top = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": _descriptor_json(config) | {"mediaType": shown},
        "layers": [
            _descriptor_json(layer) | {"mediaType": _layer_type(layer.media_type, docker=docker)}
            for layer in layers
        ],
    }
    return json.dumps(top, separators=(",", ":")).encode()


def _layer_type(media_type: str, *, docker: bool) -> str:
    """A layer's media type in the words of the manifest's format; Docker's has none for zstd."""
    packed = media_type.endswith(("gzip", "zstd"))
    if docker and not media_type.endswith("zstd"):
        return DOCKER_LAYER if packed else DOCKER_LAYER_TAR
    if docker or not media_type.startswith("application/vnd.docker."):
        return media_type
    return OCI_LAYER + ("+gzip" if packed else "")


def choose(index: Index, wanted: Platform, about: str) -> Descriptor:
    """The entry that serves the platform best: its own variant, else the nearest older one.

    Raises: NotFound: none does; the message lists what there is.
    """
    ranked = sorted(
        (
            (rank, position)
            for position, (_, offered) in enumerate(index.entries)
            if (rank := _rank(offered, wanted)) is not None
        ),
    )
    if ranked:
        return index.entries[ranked[0][1]][0]
    if len(index.entries) == 1 and index.entries[0][1] is None:
        return index.entries[0][0]
    offered = sorted({str(p) for _, p in index.entries if p and p.os != "unknown"})
    raise NotFound(
        f"{about} has no image for {wanted}",
        code="no-such-platform",
        about=about,
        hint=f"it has {', '.join(offered) or 'none at all'}; choose one with --platform",
    )


def _rank(offered: Platform | None, wanted: Platform) -> int | None:
    """How far an offer is from what is wanted: 0 is exact, None does not run."""
    if offered is None or (offered.os, offered.architecture) != (wanted.os, wanted.architecture):
        return None
    plain = _PLAIN_VARIANTS.get(wanted.architecture, "")
    have, want = offered.variant or plain, wanted.variant or plain
    if have == want:
        return 0
    distance = _number(want) - _number(have)
    return distance if distance > 0 else None


def _number(variant: str) -> int:
    digits = variant.removeprefix("v")[:9]
    return int(digits) if digits.isdecimal() else 0


def _descriptor(value: Any) -> Descriptor:
    digest, size = value["digest"], value["size"]
    if not isinstance(digest, str) or not isinstance(size, int) or isinstance(size, bool):
        raise TypeError(f"not a descriptor: {value!r}"[:_SAID_MAX])
    if size < 0:
        raise ValueError(f"a size of {size} bytes")
    split_digest(digest)
    return Descriptor(media_type=str(value.get("mediaType") or ""), digest=digest, size_bytes=size)


def _descriptor_json(descriptor: Descriptor) -> dict[str, Any]:
    return {
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size_bytes,
    }


def _platform(value: Any) -> Platform | None:
    found = value.get("platform")
    if not found:
        return None
    return Platform(
        str(found.get("os") or "linux"),
        str(found.get("architecture") or ""),
        str(found.get("variant") or ""),
    )
