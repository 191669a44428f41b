"""Records of what was wanted of a stack before: one for each change of its definition."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.model.stack import Stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A stack as it was wanted from `at` (Unix seconds) on; `number` counts from 1.

    `cause` is what brought it about ("up", "rollback to 3"), `changes` what differed from the
    revision before.
    """

    stack: Stack
    number: int
    at: float
    cause: str
    changes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.stack.name}/{self.number}"
