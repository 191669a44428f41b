"""What a benchmark is: an entry that measures one contestant once, and how its numbers are judged.

A module of benchmarks offers a tuple of `Benchmark`; `entries.py` lists them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench.contestants import Contestant

Entry = Callable[[Contestant, Path], Mapping[str, float]]
"""Measures once: the numbers by `Measure.what`. The path is a directory for files that all
contestants share, on the disk that their data is on. RuntimeError says why it cannot be done: the
peer is left out, with that reason in the table."""

Setting = Callable[[Contestant, Path], AbstractContextManager[object]]
"""What is there, for one contestant, while all the runs of a benchmark last."""

ENGINES = ("pystack", "docker", "podman")
BUILDERS = ("pystack", "docker", "buildkit", "buildah")
FLOOR = "floor"
"""The contestant that is no engine: the OCI runtime and netlink, called directly."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One number: `unit` is "s", "B/s", "/s", "B", "%" or "" (a plain number)."""

    what: str
    target: float | None = None
    """pystack's median over the best peer's: at most this, at least where more is better."""
    unit: str = "s"
    better: Literal["lower", "higher"] = "lower"
    limit: float | None = None
    """What pystack's own median keeps, in the unit, whatever the peers do."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """`group` names its chart. `synced` says by contestant what is on the disk, not only written,
    when the measured command has answered."""

    name: str
    group: str
    entry: Entry
    measures: tuple[Measure, ...]
    synced: Mapping[str, str] = field(default_factory=dict)
    contestants: tuple[str, ...] = ENGINES
    floor: Entry | None = None
    """The same with no engine at all; a row in the same table."""
    setting: Setting | None = None
    most_runs: int | None = None
    """How often it is run at most, where once takes long."""
    warm_up: bool = True
    """Whether a run that does not count comes first."""
    needs_registry: bool = False
