"""Which of the phases are carried out, where somebody asks for less than all of them."""

from __future__ import annotations

from orchestrator.model.value import dataclass


@dataclass(frozen=True, slots=True)
class Phases:
    """What loading does besides reading and merging; a stack to run needs all of it."""

    interpolate: bool = True
    resolve_paths: bool = True
    check: bool = True


ALL = Phases()
