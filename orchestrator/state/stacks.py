"""Records of stacks: what is wanted of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orchestrator.model.stack import Stack

Wish = Literal["running", "stopped", "removed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackRecord:
    """A stack and what is wanted of it; `generation` counts the wishes, so that a waiter knows
    whether its own was met. `id` is the stack's name; `services` are those wanted, () for all."""

    id: str
    stack: Stack
    wish: Wish
    generation: int
    changed_at: float
    services: tuple[str, ...] = ()
    remove_volumes: bool = False
    stop_grace_s: float | None = None
