"""The runs, in turns, of contestants that are none."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.contestants import CONTESTANTS, Contestant
from bench.entries import BENCHMARKS
from bench.entry import FLOOR, Benchmark, Measure
from bench.session import Session, brief
from tests.unit.bench.test_results import session


class Nobody(Contestant):
    """One that runs nothing."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        super().__init__(directory / name, None, "crun")


def measuring(tmp_path: Path, *names: str) -> Session:
    return Session(tmp_path, session(), 1, [Nobody(name, tmp_path) for name in names])


def test_contestants_take_turns_and_another_begins_each_time_after_a_run_that_does_not_count(
    tmp_path: Path,
) -> None:
    order: list[str] = []

    def entry(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
        order.append(contestant.name)
        return {"it": float(len(order))}

    benchmark = Benchmark("b", "g", entry, (Measure("it"),), floor=entry)
    found = measuring(tmp_path, "pystack", "docker", FLOOR).measure(benchmark, 2)
    assert order == ["pystack", "docker", "floor"] * 2 + ["docker", "floor", "pystack"]
    assert found.samples[0].by == {"pystack": [4, 9], "docker": [5, 7], "floor": [6, 8]}


def test_who_cannot_is_left_out_of_the_whole_benchmark_with_the_reason(tmp_path: Path) -> None:
    begun: list[str] = []

    def entry(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
        begun.append(contestant.name)
        if contestant.name == "docker" and begun.count("docker") > 1:
            raise RuntimeError("docker run: 125\nsome noise\nno space")
        return {"it": 1.0}

    benchmark = Benchmark("b", "g", entry, (Measure("it"),))
    found = measuring(tmp_path, "pystack", "docker", "podman").measure(benchmark, 3)
    assert found.left_out == {"docker": "docker run: 125 … no space"}
    assert found.samples[0].by == {"pystack": [1.0] * 3, "podman": [1.0] * 3}


def test_a_setting_is_there_while_all_runs_last_and_then_gone(tmp_path: Path) -> None:
    story: list[str] = []

    @contextlib.contextmanager
    def setting(contestant: Contestant, _directory: Path) -> Iterator[None]:
        story.append(f"{contestant.name} set")
        yield
        story.append(f"{contestant.name} gone")

    def entry(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
        story.append(contestant.name)
        return {"it": 1.0}

    benchmark = Benchmark("b", "g", entry, (Measure("it"),), setting=setting, warm_up=False)
    measuring(tmp_path, "pystack", "docker").measure(benchmark, 1)
    assert story == [
        "pystack set", "docker set", "pystack", "docker", "docker gone", "pystack gone",
    ]  # fmt: skip


def test_a_benchmark_is_run_no_oftener_than_it_allows(tmp_path: Path) -> None:
    def entry(_contestant: Contestant, _directory: Path) -> Mapping[str, float]:
        return {"it": 1.0}

    benchmark = Benchmark("b", "g", entry, (Measure("it"),), most_runs=2)
    found = measuring(tmp_path, "pystack").measure(benchmark, 10)
    assert (found.runs, len(found.samples[0].by["pystack"])) == (2, 2)


def test_a_long_reason_fits_a_line() -> None:
    assert len(brief("word " * 400 + "\n" + "end " * 400)) <= 300


def test_every_benchmark_says_what_is_synced_by_whoever_it_measures() -> None:
    names = {kind.name for kind in CONTESTANTS}
    for one in BENCHMARKS.values():
        assert set(one.contestants) <= names
        assert set(one.contestants) <= set(one.synced), one.name
        assert len({measure.what for measure in one.measures}) == len(one.measures)
