"""Images as pystack knows them: a configuration and a chain of layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.model.container import Healthcheck


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """A reference to content: its media type, digest (`sha256:…`) and size in bytes."""

    media_type: str
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer: its blob, the digest of its uncompressed tar, the digest of the chain up to it.

    `size_bytes` is what the unpacked layer holds. A layer that was built here has no stored blob
    until it is pushed or saved.
    """

    blob: Descriptor
    diff_id: str
    chain_id: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One line of an image's history; `empty` ones have no layer."""

    created: str = ""
    created_by: str = ""
    comment: str = ""
    empty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """The part of an OCI image configuration that running it needs."""

    architecture: str = ""
    os: str = "linux"
    variant: str = ""
    created: str = ""
    author: str = ""
    user: str = ""
    environment: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    working_dir: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""
    shell: tuple[str, ...] = ()
    onbuild: tuple[str, ...] = ()
    healthcheck: Healthcheck | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image in the store. `id` is the digest of its configuration, as Docker's image id.

    `tags` are familiar full references (`docker.io/library/redis:7`), `digests` are
    `repository@sha256:…` of what was pulled. `tagged_at` is when it was last given a tag here, and
    `pulled_at` when it was last asked of its registry, both in Unix seconds. A `retired` image was
    removed while a container used it: only that container still finds it, and it goes with the
    last one.
    """

    id: str
    manifest_digest: str
    config: ImageConfig
    layers: tuple[Layer, ...] = ()
    history: tuple[History, ...] = ()
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    created_at: float = 0.0
    size_bytes: int = 0
    tagged_at: float = 0.0
    pulled_at: float = 0.0
    retired: bool = False
