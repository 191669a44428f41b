"""What was measured, as a value that goes to a JSON file and back."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bench.entry import FLOOR, Measure

SUBJECT = "pystack"


@dataclass(slots=True)
class Samples:
    """Everything about one measure: raw numbers by contestant, in the order of the table."""

    measure: Measure
    by: dict[str, list[float]] = field(default_factory=dict)

    @property
    def best_peer(self) -> str:
        """The peer with the best median, "" where there is none."""
        peers = {
            name: statistics.median(values)
            for name, values in self.by.items()
            if values and name not in {SUBJECT, FLOOR}
        }
        if not peers:
            return ""
        pick = min if self.measure.better == "lower" else max
        return pick(peers, key=lambda name: peers[name])

    def median(self, name: str) -> float:
        return statistics.median(self.by[name])

    def ratio(self, name: str) -> float | None:
        """pystack's median over this one's."""
        if not self.by.get(SUBJECT) or not self.by.get(name) or not self.median(name):
            return None
        return self.median(SUBJECT) / self.median(name)

    @property
    def met(self) -> bool | None:
        """Whether the target and the limit are kept; None where there is nothing to keep, or
        nobody to compare with."""
        verdicts = []
        ratio = self.ratio(self.best_peer)
        lower = self.measure.better == "lower"
        if self.measure.target is not None and ratio is not None:
            verdicts.append(ratio <= self.measure.target if lower else ratio >= self.measure.target)
        if self.measure.limit is not None and self.by.get(SUBJECT):
            own = self.median(SUBJECT)
            verdicts.append(own <= self.measure.limit if lower else own >= self.measure.limit)
        return all(verdicts) if verdicts else None


@dataclass(slots=True)
class Measured:
    """One benchmark's results. `left_out` says why by contestant; `load` is the machine's load
    average over a minute when it began and when it ended; `flushes` are the disk's in each run, by
    contestant, with those of what else the machine did."""

    name: str
    group: str
    about: str
    runs: int
    synced: dict[str, str]
    samples: list[Samples]
    left_out: dict[str, str] = field(default_factory=dict)
    load: list[float] = field(default_factory=list)
    floor: str = ""
    flushes: dict[str, list[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """A contestant: `records` says what of its own records is synced."""

    name: str
    version: str
    records: str


@dataclass(slots=True)
class Results:
    """A session: `machine` and `layout` are lines for people; `date` is UTC."""

    date: str
    command: str
    machine: list[str]
    layout: str
    runtime: str
    contestants: list[Known] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    image: str = ""
    """What is pulled and pushed, where anything is."""
    benchmarks: list[Measured] = field(default_factory=list)
    format: int = 1


def write(results: Results, file: Path) -> None:
    """The file holds the whole of it at any time, the old or the new."""
    half = file.with_name(f".{file.name}.half")
    half.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    half.replace(file)


def read(files: Sequence[Path]) -> Results:
    """The sessions as one: where several have a benchmark, the last counts. Raises: ValueError."""
    sessions = [msgspec.json.decode(file.read_bytes(), type=Results) for file in files]
    merged = sessions[-1]
    found: dict[str, Measured] = {}
    known: dict[str, Known] = {}
    for session in sessions:
        found |= {one.name: one for one in session.benchmarks}
        known |= {one.name: one for one in session.contestants}
    merged.benchmarks = list(found.values())
    merged.contestants = list(known.values())
    merged.image = next((one.image for one in reversed(sessions) if one.image), "")
    merged.command = "\n".join(dict.fromkeys(one.command for one in sessions))
    return merged
