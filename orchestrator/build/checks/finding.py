"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.build.problems import Where


@dataclass(frozen=True, slots=True)
class Finding:
    """One questionable thing: the rule it is against, where, and what is the matter."""

    rule: str
    where: Where
    message: str
