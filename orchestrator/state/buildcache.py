"""Records of build steps done before."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.model.image import Layer


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedStep:
    """The layer that a build step with this cache key (`id`) made; None where it made none."""

    id: str
    layer: Layer | None
    created_at: float
    last_used_at: float
    description: str = ""
