"""What tells whether a service's containers are as they should be: a digest of what they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from orchestrator.model.stack import Service


def config_hash(service: Service) -> str:
    """A digest of everything in the service that makes its containers what they are."""
    text = json.dumps(_said(service.container), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _said(value: Any) -> Any:
    """The value without what is as it is by default, so that a field which a later version adds
    replaces no container."""
    if is_dataclass(value):
        given = ((f, getattr(value, f.name)) for f in fields(value))
        return {f.name: _said(v) for f, v in given if v != _default(f)}
    if isinstance(value, tuple):
        return [_said(v) for v in value]
    return dict(value) if isinstance(value, Mapping) else value


def _default(of: Field[Any]) -> Any:
    return of.default if of.default_factory is MISSING else of.default_factory()
