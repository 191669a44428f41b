"""A chart of one group of benchmarks, as SVG: a bar for each contestant, each measure to its own
scale, its spread as a line across the end of the bar and the target as a dashed one.

Colours are middle tones, and the text follows the viewer's light or dark scheme.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from bench.report import number
from bench.results import Measured, Results, Samples

WIDTH = 860
_LEFT, _RIGHT = 84, 150
_BAR, _GAP, _TITLE, _SPACE, _MARGIN = 15, 4, 24, 16, 12
_COLOURS = {
    "pystack": "#2f81f7",
    "docker": "#8b949e",
    "buildkit": "#a08f7a",
    "podman": "#a371f7",
    "buildah": "#d2778f",
    "floor": "#57a85a",
}
_OTHER = "#8b949e"
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#3d444d}"
    ".t{font-weight:600}.s{stroke:#3d444d;stroke-width:1.5}"
    ".g{stroke:#cf222e;stroke-width:1.5;stroke-dasharray:4 3}.r{fill:#cf222e}"
    "@media(prefers-color-scheme:dark){text{fill:#d1d7e0}.s{stroke:#d1d7e0}"
    ".g{stroke:#ff7b72}.r{fill:#ff7b72}}"
)


def groups(results: Results) -> dict[str, list[Measured]]:
    """The benchmarks by group, in their order."""
    found: dict[str, list[Measured]] = {}
    for measured in results.benchmarks:
        found.setdefault(measured.group, []).append(measured)
    return found


def file_name(group: str) -> str:
    return f"{'-'.join(group.split())}.svg"


def write_all(results: Results, directory: Path) -> list[Path]:
    """A file for each group that has numbers."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for group, benchmarks in groups(results).items():
        panels = [one for measured in benchmarks for one in measured.samples if one.by]
        if panels:
            written.append(directory / file_name(group))
            written[-1].write_text(draw(group, panels))
    return written


def draw(title: str, panels: Sequence[Samples]) -> str:
    """The chart, an SVG document."""
    body: list[str] = []
    top = _MARGIN
    for samples in panels:
        body += _panel(samples, top)
        top += _height(samples)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}"'
        f' viewBox="0 0 {WIDTH} {top}" role="img"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style>\n" + "\n".join(body) + "\n</svg>\n"
    )


def _height(samples: Samples) -> int:
    return _TITLE + len(samples.by) * (_BAR + _GAP) + _SPACE


def _panel(samples: Samples, top: int) -> Iterator[str]:
    measure = samples.measure
    better = "less is better" if measure.better == "lower" else "more is better"
    yield (
        f'<text class="t" x="{_MARGIN}" y="{top + 12}">{escape(measure.what)}'
        f'<tspan font-weight="400"> ({better})</tspan></text>'
    )
    goal = _goal(samples)
    most = max([*(value for values in samples.by.values() for value in values), goal or 0.0])
    scale = (WIDTH - _LEFT - _RIGHT) / (most or 1.0)
    first = top + _TITLE
    for position, (name, values) in enumerate(samples.by.items()):
        yield from _bar(samples, name, values, first + position * (_BAR + _GAP), scale)
    if goal is not None:
        x = _LEFT + goal * scale
        bottom = first + len(samples.by) * (_BAR + _GAP)
        yield f'<line class="g" x1="{x:.1f}" y1="{first - 4}" x2="{x:.1f}" y2="{bottom}"/>'
        yield f'<text class="r" x="{x + 4:.1f}" y="{bottom + 8}" font-size="10">target</text>'


def _bar(
    samples: Samples, name: str, values: Sequence[float], top: int, scale: float
) -> Iterator[str]:
    median = statistics.median(values)
    width = max(median * scale, 1.0)
    middle = top + _BAR / 2
    low, high = (_LEFT + value * scale for value in (min(values), max(values)))
    colour = _COLOURS.get(name, _OTHER)
    text = number(median, samples.measure.unit)
    yield f'<text x="{_LEFT - 8}" y="{top + 12}" text-anchor="end">{escape(name)}</text>'
    yield f'<rect x="{_LEFT}" y="{top}" width="{width:.1f}" height="{_BAR}" fill="{colour}"/>'
    yield f'<line class="s" x1="{low:.1f}" y1="{middle}" x2="{high:.1f}" y2="{middle}"/>'
    yield f'<text x="{max(high, _LEFT + width) + 8:.1f}" y="{top + 12}">{escape(text)}</text>'


def _goal(samples: Samples) -> float | None:
    """Where pystack's median should be, or beyond."""
    if samples.measure.limit is not None:
        return samples.measure.limit
    if samples.measure.target is None or not samples.best_peer:
        return None
    return samples.median(samples.best_peer) * samples.measure.target
