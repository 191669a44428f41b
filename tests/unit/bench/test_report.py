"""What people see: the table, the charts, the page."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import chart, page, report
from bench.entry import Measure
from bench.results import Samples
from tests.unit.bench.test_results import benchmark, session

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "s", "12.3 ms"),
        (3.2, "s", "3,200 ms"),
        (13.7, "s", "13.7 s"),
        (0.00042, "s", "420 µs"),
        (1.5e9, "B/s", "1.50 GB/s"),
        (64 << 20, "B", "64.0 MiB"),
        (21011, "/s", "21,011 /s"),
        (0.15, "%", "0.150 %"),
        (7, "", "7.00"),
    ],
)
def test_a_number_has_three_digits_that_count_and_its_unit(
    value: float, unit: str, text: str
) -> None:
    assert report.number(value, unit) == text


def test_the_table_says_median_spread_ratio_target_and_who_is_left_out_why() -> None:
    measured = benchmark(
        "run",
        Samples(Measure("run true", 0.35), {"pystack": [0.1, 0.2, 0.3], "docker": [0.4]}),
    )
    measured.left_out["podman"] = "no reason"
    assert list(report.lines(measured)) == [
        "",
        "== run: About it. (3 runs, load 0.1 to 0.2)",
        "   synced by pystack: nothing (2 disk flushes a run)",
        "   podman: left out: no reason",
        " run true: 0.50 of docker's, target at most 0.35: MISSED",
        "  pystack      200 ms       100 ms …     300 ms   quartiles     150 ms,     250 ms   n=3",
        "  docker       400 ms       400 ms …     400 ms   quartiles     400 ms,     400 ms   n=1"
        "   pystack / docker 0.50",
    ]


def test_a_chart_is_well_formed_and_has_a_bar_for_each_contestant_to_the_scale_of_its_measure() -> (
    None
):
    panels = [
        Samples(
            Measure("a < b & c", 0.5), {"pystack": [0.1], "docker": [0.4, 0.4], "podman": [0.2]}
        ),
        Samples(Measure("other", unit="B"), {"pystack": [1 << 30]}),
    ]
    drawn = ElementTree.fromstring(chart.draw("a group", panels))
    bars = [float(bar.attrib["width"]) for bar in drawn.iter(f"{SVG}rect")]
    assert [round(bar / bars[1], 2) for bar in bars[:3]] == [0.25, 1.0, 0.5]
    assert bars[3] == bars[1]
    texts = ["".join(text.itertext()) for text in drawn.iter(f"{SVG}text")]
    assert "a < b & c (less is better)" in texts
    assert "target" in texts
    assert {"pystack", "docker", "podman", "100 ms", "400 ms", "1.00 GiB"} <= set(texts)


def test_a_chart_is_written_for_each_group_with_numbers(tmp_path: Path) -> None:
    full = benchmark("run", Samples(Measure("run"), {"pystack": [1.0]}))
    empty = benchmark("none", Samples(Measure("none")))
    empty.group = "other"
    written = chart.write_all(session(full, empty), tmp_path / "charts")
    assert written == [tmp_path / "charts/group.svg"]


def test_the_page_says_by_how_much_a_target_is_missed_and_why_as_noted(tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("Not of any benchmark.\n\n## run\n\nThe time goes\ninto waiting.\n\n## exec\n")
    measured = benchmark(
        "run", Samples(Measure("run true", 0.5), {"pystack": [0.3], "docker": [0.4]})
    )
    text = page.write(session(measured), page.read_notes(notes), "charts")
    assert (
        "- `run`, run true: 300 ms where 200 ms would meet it, 50 % more"
        " (0.75 of docker's, target at most 0.5)"
    ) in text
    assert "`run`: The time goes\ninto waiting." in text
    assert "| `run` | run true | 300 ms | docker 400 ms | 0.75 | ≤ 0.5 | **missed** |" in text
    assert "![group](charts/group.svg)" in text
    assert "- podman: not measured: not installed" in text


def test_a_page_without_misses_says_so() -> None:
    measured = benchmark("run", Samples(Measure("run"), {"pystack": [0.3]}))
    assert "## Missed targets\n\nNone." in page.write(session(measured), {}, "charts")
