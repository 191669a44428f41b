"""Ratios, targets and the JSON of what was measured."""

from __future__ import annotations

from pathlib import Path

from bench.entry import Measure
from bench.results import Known, Measured, Results, Samples, read, write


def samples(measure: Measure, **by: list[float]) -> Samples:
    return Samples(measure, by)


def session(*benchmarks: Measured, command: str = "bench/run") -> Results:
    return Results(
        "2026-01-01T00:00:00+00:00",
        command,
        ["a machine"],
        "v2",
        "crun",
        [Known("pystack", "1", "a log"), Known("docker", "2", "files")],
        {"podman": "not installed"},
        "4 layers",
        list(benchmarks),
    )


def benchmark(name: str, *all_samples: Samples) -> Measured:
    return Measured(
        name, "group", "About it.", 3, {"pystack": "nothing"}, list(all_samples),
        load=[0.1, 0.2], flushes={"pystack": [1, 2, 3]},
    )  # fmt: skip


def test_the_ratio_is_of_medians_and_to_the_faster_of_the_peers() -> None:
    one = samples(
        Measure("run", 0.35), pystack=[1.0, 2.0, 90.0], docker=[9.0], podman=[8.0], floor=[0.1]
    )
    assert one.best_peer == "podman"
    assert one.ratio("podman") == 0.25
    assert one.ratio("docker") == 2 / 9
    assert one.met is True


def test_where_more_is_better_the_best_peer_has_the_most_and_the_ratio_is_at_least_the_target() -> (
    None
):
    measure = Measure("answers", 1.0, "/s", "higher")
    assert samples(measure, pystack=[99.0], docker=[50.0], podman=[100.0]).met is False
    assert samples(measure, pystack=[100.0], docker=[50.0], podman=[100.0]).met is True


def test_a_limit_is_kept_or_not_whatever_the_peers_do() -> None:
    measure = Measure("at rest", unit="%", limit=0.2)
    assert samples(measure, pystack=[0.1]).met is True
    assert samples(measure, pystack=[0.3], docker=[9.0]).met is False


def test_without_a_peer_or_a_target_there_is_no_verdict() -> None:
    assert samples(Measure("run", 0.35), pystack=[1.0], floor=[0.1]).met is None
    assert samples(Measure("run"), pystack=[1.0], docker=[2.0]).met is None
    assert samples(Measure("run", 0.35), docker=[2.0]).met is None


def test_a_session_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    one = session(benchmark("run", samples(Measure("run", 0.35, "s"), pystack=[1.0, 2.5])))
    write(one, tmp_path / "one.json")
    assert read([tmp_path / "one.json"]) == one


def test_of_several_sessions_the_last_counts_for_each_benchmark(tmp_path: Path) -> None:
    first = session(
        benchmark("run", samples(Measure("run"), pystack=[1.0])),
        benchmark("exec", samples(Measure("exec"), pystack=[2.0])),
        command="first",
    )
    second = session(benchmark("run", samples(Measure("run"), pystack=[3.0])), command="second")
    for name, one in (("1", first), ("2", second)):
        write(one, tmp_path / name)
    merged = read([tmp_path / "1", tmp_path / "2"])
    found = {one.name: one.samples[0].by for one in merged.benchmarks}
    assert found == {"run": {"pystack": [3.0]}, "exec": {"pystack": [2.0]}}
    assert merged.command == "first\nsecond"
