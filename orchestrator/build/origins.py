"""Where `--from` takes files from, besides the context: layers, or a tree of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from orchestrator.build.tree import Tree
from orchestrator.model.image import Layer


@dataclass(frozen=True, slots=True)
class Origin:
    """A stage or an image, as its layers; or a named context, as its `tree`."""

    layers: tuple[Layer, ...] = ()
    tree: Tree | None = None

    @property
    def top(self) -> str:
        """What its content is known by: the chain id of its layers."""
        return self.layers[-1].chain_id if self.layers else ""


class OriginSource(Protocol):
    """Finds what `--from=name` means."""

    async def __call__(self, name: str) -> Origin: ...
