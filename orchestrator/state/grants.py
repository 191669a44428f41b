"""Records of the contents of configs and secrets that the engine keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A content that is kept. `id` is the version that stands for it and says nothing of it.

    `path` is a file it can be read from again; `name` one that a person gave it, who kept it with
    the engine for any stack (`created_at` and `updated_at`, Unix seconds, and `labels` go with
    that, and `index`, which counts the changes from 1).
    """

    id: str
    secret: bool
    path: str = ""
    name: str = ""
    created_at: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)
    updated_at: float = 0.0
    index: int = 1
