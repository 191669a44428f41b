"""The page with everything that was measured, in Markdown, written from the JSON.

What is said of a benchmark by hand is in a file of notes, "## NAME" above each, and goes into the
page; so it is there again when the page is made anew.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench import chart
from bench.report import flushed, number, quartiles, verdict
from bench.results import SUBJECT, Measured, Results, Samples

_INTRODUCTION = """\
# pystack beside Docker and Podman

Written by `bench/run --report`; not by hand, but for the notes, which are in
[notes.md](notes.md). Contestants take turns run by run, engines are warm, each has network and
mount namespaces of its own and its data on the same disk. The ratio is pystack's median over the
peer's; the target is for the ratio to the best peer. *floor* is no engine: the OCI runtime on
prepared bundles and netlink, called directly.
"""


def write(results: Results, notes: Mapping[str, str], charts: str) -> str:
    """The page; `charts` is the directory of the charts as the page links to it."""
    parts = [_INTRODUCTION, *_facts(results), *_summary(results), *_missed(results, notes)]
    for group, benchmarks in chart.groups(results).items():
        parts += ["", f"## {group[0].upper()}{group[1:]}", ""]
        if any(samples.by for one in benchmarks for samples in one.samples):
            parts.append(f"![{group}]({charts}/{chart.file_name(group)})")
        for measured in benchmarks:
            parts += _benchmark(measured, notes)
    return "\n".join([*parts, ""])


def read_notes(file: Path) -> dict[str, str]:
    """The notes by benchmark; none where there is no file."""
    if not file.exists():
        return {}
    parts = re.split(r"^## +(\S+) *$", file.read_text(), flags=re.MULTILINE)
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def _facts(results: Results) -> Iterator[str]:
    yield f"- taken: {results.date}"
    yield from (f"- machine: {line}" for line in results.machine)
    yield f"- cgroups: {results.layout}"
    yield f"- runtime, for all alike: {results.runtime}"
    for one in results.contestants:
        yield f"- {one.name}: {one.version}. Its records: {one.records}"
    for name, why in results.absent.items():
        yield f"- {name}: not measured: {why}"
    if results.image:
        yield f"- the image pulled, loaded and pushed: {results.image}"
    yield f"\n```sh\n{results.command}\n```"


def _summary(results: Results) -> Iterator[str]:
    yield "\n## Summary\n"
    yield f"| benchmark | what | {SUBJECT} | best peer | ratio | target | |"
    yield "|---|---|--:|--:|--:|--:|---|"
    for measured in results.benchmarks:
        for samples in measured.samples:
            if samples.by.get(SUBJECT):
                yield _summary_row(measured, samples)


def _summary_row(measured: Measured, samples: Samples) -> str:
    unit = samples.measure.unit
    peer = samples.best_peer
    ratio = samples.ratio(peer)
    cells = [
        f"`{measured.name}`",
        samples.measure.what,
        number(samples.median(SUBJECT), unit),
        f"{peer} {number(samples.median(peer), unit)}" if peer else "",
        f"{ratio:.2f}" if ratio is not None else "",
        bound(samples),
        {True: "met", False: "**missed**", None: ""}[samples.met],
    ]
    return f"| {' | '.join(cells)} |"


def bound(samples: Samples) -> str:
    """The target and the limit, with their direction."""
    measure = samples.measure
    sign = "≤" if measure.better == "lower" else "≥"
    found = []
    if measure.target is not None:
        found.append(f"{sign} {measure.target:g}")
    if measure.limit is not None:
        found.append(f"{sign} {number(measure.limit, measure.unit)}")
    return ", ".join(found)


def _missed(results: Results, notes: Mapping[str, str]) -> Iterator[str]:
    missed = [
        (measured, samples)
        for measured in results.benchmarks
        for samples in measured.samples
        if samples.met is False
    ]
    yield "\n## Missed targets\n"
    if not missed:
        yield "None."
    for measured, samples in missed:
        yield f"- `{measured.name}`, {samples.measure.what}: {by_how_much(samples)}"
    for name in dict.fromkeys(measured.name for measured, _ in missed):
        yield f"\n`{name}`: {notes.get(name, 'where the time goes is not written down yet.')}"


def by_how_much(samples: Samples) -> str:
    """How far pystack's median is from what it should be."""
    measure = samples.measure
    own = samples.median(SUBJECT)
    wanted = measure.limit
    if measure.target is not None and samples.best_peer:
        wanted = samples.median(samples.best_peer) * measure.target
    if not wanted:
        return verdict(samples)
    more = "more" if measure.better == "lower" else "less"
    share = abs(own / wanted - 1) * 100
    return (
        f"{number(own, measure.unit)} where {number(wanted, measure.unit)} would meet it, "
        f"{share:.0f} % {more} ({verdict(samples).removesuffix(': MISSED')})"
    )


def _benchmark(measured: Measured, notes: Mapping[str, str]) -> Iterator[str]:
    yield f"\n### `{measured.name}`\n"
    load = " to ".join(f"{value:.1f}" for value in measured.load)
    yield f"{measured.about} {measured.runs} runs; load average {load}."
    if measured.floor:
        yield f"Floor: {measured.floor}"
    for samples in measured.samples:
        if samples.by:
            yield from _table(samples)
    yield ""
    there = {name for samples in measured.samples for name in samples.by}
    for name, what in measured.synced.items():
        if name in there:
            yield f"- on disk, synced, by {name}: {what}{flushed(measured, name)}"
    for name, why in measured.left_out.items():
        yield f"- {name}: left out: {cell(why)}"
    if measured.name in notes:
        yield f"\n{notes[measured.name]}"


def _table(samples: Samples) -> Iterator[str]:
    unit = samples.measure.unit
    yield f"\n{samples.measure.what}: {verdict(samples)}\n"
    yield "| | median | min … max | quartiles | n | ratio |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name, values in samples.by.items():
        ratio = samples.ratio(name)
        cells = [
            name,
            number(statistics.median(values), unit),
            " … ".join(number(value, unit) for value in (min(values), max(values))),
            ", ".join(number(value, unit) for value in quartiles(values)),
            str(len(values)),
            f"{ratio:.2f}" if ratio is not None and name != SUBJECT else "",
        ]
        yield f"| {' | '.join(cells)} |"


def cell(text: str) -> str:
    """Text that no Markdown is read into."""
    return f"`{text.replace('`', chr(39))}`"
