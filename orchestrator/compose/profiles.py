"""Which services take part: those without profiles, and those with an active one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from orchestrator.compose.node import Node
from orchestrator.compose.told import told_list


def active_profiles(named: Sequence[str], environ: Mapping[str, str]) -> frozenset[str]:
    """The active profiles: those named, else those of COMPOSE_PROFILES."""
    return frozenset(named or told_list(environ, "PROFILES"))


def profiles_of(service: Node | None) -> list[str]:
    node = service.get("profiles") if service else None
    return [item.string for item in node.items] if node else []


def takes_part(service: Node, active: Iterable[str]) -> bool:
    """Whether a service takes part; the profile `*` activates all."""
    own = profiles_of(service)
    active = set(active)
    return not own or "*" in active or not active.isdisjoint(own)
