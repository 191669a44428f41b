"""One build, decided, and what comes of its stages: values."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.build.evaluate import Scope, StageState
from orchestrator.build.grants import Grants
from orchestrator.build.graph import Graph
from orchestrator.build.runner import Sandbox
from orchestrator.build.tree import Tree
from orchestrator.images.manifest import Platform
from orchestrator.model.image import History, Layer


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One build, decided: its stages, its words' scope, its files, its name in messages.

    `platform` is what the build is for, `machine` what this machine runs; `epoch` is the newest
    time (Unix seconds) that anything in the image may have.
    """

    graph: Graph
    scope: Scope
    tree: Tree
    prefix: str
    platform: Platform
    machine: Platform
    sandbox: Sandbox
    contexts: frozenset[str] = frozenset()
    grants: Grants = field(default_factory=Grants)
    use_cache: bool = True
    uncached: frozenset[str] = frozenset()
    epoch: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """A finished stage: what an image is made of. `keys` are the cache keys of the steps behind
    the lines of `history`, "" where there is none."""

    state: StageState
    layers: tuple[Layer, ...] = ()
    history: tuple[History, ...] = ()
    keys: tuple[str, ...] = ()
    platform: Platform
