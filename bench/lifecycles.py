"""One container at a time, measured: run, exec, and the list of a hundred."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench import floor, stacks
from bench.contestants import Contestant
from bench.entry import FLOOR, Benchmark, Measure
from bench.stacks import IMAGE

MANY = 100
EXECED = "bench-exec"
RUN = "run --rm busybox true, default bridge"
RUN_NONE = "run --rm busybox true, --network none"
EXEC = "exec of true in a running container"
PS = f"ps with {MANY} containers"


def run(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    """A container that does nothing, from the image to its removal."""
    return {RUN: contestant.time([*contestant.command(), "run", "--rm", IMAGE, "true"])}


def run_none(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    """The same with a loopback and no other network."""
    argv = [*contestant.command(), "run", "--rm", "--network", "none", IMAGE, "true"]
    return {RUN_NONE: contestant.time(argv)}


def execute(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    """A program that does nothing, in a container that does nothing."""
    return {EXEC: contestant.time([*contestant.command(), "exec", EXECED, "true"])}


@contextlib.contextmanager
def one_running(contestant: Contestant, _directory: Path) -> Iterator[None]:
    """A container to execute in."""
    if contestant.name == FLOOR:
        one = contestant.place.inside(lambda: floor.Bare(contestant, floor.SLEEP, name=EXECED))
        contestant.place.inside(one.create)
        contestant.place.inside(one.start)
        try:
            yield
        finally:
            contestant.place.inside(one.remove)
        return
    command = contestant.command()
    contestant.output(*command, "run", "-d", "--name", EXECED, IMAGE, "sleep", "100000")
    try:
        yield
    finally:
        contestant.output(*command, "rm", "-f", EXECED)


def ps(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    """The list of a hundred containers that run, as it is printed."""
    return {PS: contestant.time([*contestant.command(), "ps"])}


@contextlib.contextmanager
def many_running(contestant: Contestant, directory: Path) -> Iterator[None]:
    """A hundred containers to be listed."""
    if contestant.name == FLOOR:
        yield
        return
    with stacks.running(contestant, directory, MANY, "listed"):
        yield


def _floor_run(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    """The runtime's create, start and delete, and a network configured between."""
    return {RUN: floor.cycle(contestant, network=True)}


def _floor_run_none(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    """The runtime's create, start and delete."""
    return {RUN_NONE: floor.cycle(contestant, network=False)}


def _floor_exec(contestant: Contestant, directory: Path) -> Mapping[str, float]:
    """The runtime's exec."""
    return execute(contestant, directory)


def _floor_ps(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    """Python's own start."""
    return {PS: contestant.time([sys.executable, "-I", "-S", "-c", "pass"])}


_DOCKER = "the container's files and records, fsync each"
_PODMAN = "the container's records, by SQLite or bolt"
_SYNCED = {
    "pystack": "nothing: its records are in SQLite's log, which is synced at checkpoints",
    "docker": _DOCKER,
    "podman": _PODMAN,
    FLOOR: "nothing",
}
_READS = dict.fromkeys(_SYNCED, "nothing: it only reads")
_EXECS = _READS | {"podman": "the exec session's record"}
LIFECYCLES = (
    Benchmark("run", "containers", run, (Measure(RUN, 0.35),), synced=_SYNCED, floor=_floor_run),
    Benchmark(
        "run-none",
        "containers",
        run_none,
        (Measure(RUN_NONE, 0.5),),
        synced=_SYNCED,
        floor=_floor_run_none,
    ),
    Benchmark(
        "exec",
        "containers",
        execute,
        (Measure(EXEC, 0.6),),
        synced=_EXECS,
        floor=_floor_exec,
        setting=one_running,
    ),
    Benchmark(
        "ps",
        "containers",
        ps,
        (Measure(PS, 1.2),),
        synced=_READS,
        floor=_floor_ps,
        setting=many_running,
    ),
)
