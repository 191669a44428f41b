"""Measurements as a table for the terminal: median, spread, ratio, target."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from bench.entry import FLOOR
from bench.results import SUBJECT, Measured, Results, Samples

_SCALES = {
    "B/s": ((1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"), (1, "B/s")),
    "B": ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")),
    "s": ((1, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "%": ((1, "%"),),
    "/s": ((1, "/s"),),
}
_SECONDS_FROM = 10.0


def number(value: float, unit: str) -> str:
    """A number with three digits that count and its unit."""
    for scale, name in _SCALES.get(unit, ((1.0, unit),)):
        # Milliseconds up to ten seconds: what is compared should look alike.
        least = _SECONDS_FROM if name == "s" else scale
        if abs(value) >= least or scale == _SCALES.get(unit, ((1.0, unit),))[-1][0]:
            return f"{digits(value / scale)} {name}".strip()
    return f"{digits(value)} {unit}".strip()


def digits(value: float) -> str:
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """The first and the third; of one value, itself."""
    if len(values) < 2:
        return values[0], values[0]
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, third


def heading(results: Results) -> list[str]:
    lines = [f"date: {results.date}", f"command: {results.command}"]
    lines += [f"machine: {line}" for line in results.machine]
    lines += [f"cgroups: {results.layout}", f"runtime: {results.runtime}"]
    lines += [f"{c.name}: {c.version}; records: {c.records}" for c in results.contestants]
    return lines + [f"{name}: not here: {why}" for name, why in results.absent.items()]


def lines(measured: Measured) -> Iterator[str]:
    """One block per measure."""
    load = " to ".join(f"{value:.1f}" for value in measured.load)
    yield ""
    yield f"== {measured.name}: {measured.about} ({measured.runs} runs, load {load})"
    there = {name for samples in measured.samples for name in samples.by}
    for name, what in measured.synced.items():
        if name in there:
            yield f"   synced by {name}: {what}{flushed(measured, name)}"
    if measured.floor:
        yield f"   floor: {measured.floor}"
    for name, why in measured.left_out.items():
        yield f"   {name}: left out: {why}"
    for samples in measured.samples:
        if not samples.by:
            continue
        yield f" {samples.measure.what}: {verdict(samples)}"
        for name, values in samples.by.items():
            yield f"  {row(samples, name, values)}"


def flushed(measured: Measured, name: str) -> str:
    """How often the disk was flushed in a run: " (12 flushes)"."""
    counts = measured.flushes.get(name)
    return f" ({statistics.median(counts):g} disk flushes a run)" if counts else ""


def row(samples: Samples, name: str, values: Sequence[float]) -> str:
    unit = samples.measure.unit
    low, high = (number(value, unit) for value in (min(values), max(values)))
    first, third = (number(value, unit) for value in quartiles(values))
    line = f"{name:<8} {number(statistics.median(values), unit):>10}"
    line += f"   {low:>10} … {high:>10}   quartiles {first:>10}, {third:>10}   n={len(values)}"
    ratio = samples.ratio(name)
    if name != SUBJECT and ratio is not None:
        line += f"   {SUBJECT} / {name} {ratio:.2f}"
    return line


def verdict(samples: Samples) -> str:
    """The ratio to the best peer beside the target: "0.31 of docker, target 0.35: met"."""
    measure = samples.measure
    parts = []
    peer = samples.best_peer
    ratio = samples.ratio(peer)
    if ratio is not None:
        parts.append(f"{ratio:.2f} of {peer}'s")
    if measure.target is not None:
        parts.append(f"target {'at most' if measure.better == 'lower' else 'at least'} "
                     f"{measure.target:g}")  # fmt: skip
    if measure.limit is not None:
        bound = "at most" if measure.better == "lower" else "at least"
        parts.append(f"{bound} {number(measure.limit, measure.unit)}")
    met = samples.met
    said = ", ".join(parts)
    if met is None:
        return said or ("the floor" if set(samples.by) == {FLOOR} else "no target")
    return f"{said}: {'met' if met else 'MISSED'}"
