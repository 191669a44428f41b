"""Stacks, measured: `up -d`, the same again with nothing to do, and `down`, by number of services.

The services end by SIGKILL at once, so that no grace period is measured.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench import floor
from bench.contestants import Contestant
from bench.entry import FLOOR, Benchmark, Entry, Measure

IMAGE = "localhost/bench/busybox:1"
COUNTS = (1, 20, 100)
UP_TARGET, AGAIN_TARGET, DOWN_TARGET = 0.25, 0.3, 0.25
LARGE = 100


def stack_file(directory: Path, count: int, name: str) -> Path:
    """A file of so many services that sleep, on one network."""
    project = directory / f"{name}{count}"
    project.mkdir(parents=True, exist_ok=True)
    file = project / "compose.yaml"
    service = f"image: {IMAGE}, command: [sleep, '100000'], stop_signal: SIGKILL"
    lines = [f"  s{number}: {{{service}}}" for number in range(1, count + 1)]
    file.write_text("\n".join(['version: "3"', "services:", *lines, ""]))
    return file


@contextlib.contextmanager
def running(contestant: Contestant, directory: Path, count: int, name: str) -> Iterator[None]:
    """Such a stack, up while the block lasts."""
    compose = contestant.compose(stack_file(directory / contestant.name, count, name))
    try:
        contestant.output(*compose, "up", "-d")
        expect(contestant, count)
        yield
    finally:
        contestant.output(*compose, "down")


def expect(contestant: Contestant, count: int) -> None:
    """Raises: RuntimeError: there are not so many containers."""
    found = len(contestant.output(*contestant.command(), "ps", "-q").split())
    if found != count:
        raise RuntimeError(f"{found} of {count} services run")


def up_title(count: int) -> str:
    return f"up -d of {_services(count)}"


def again_title(count: int) -> str:
    return f"up -d of {_services(count)}, nothing changed"


def down_title(count: int) -> str:
    return f"down of {_services(count)}"


def _services(count: int) -> str:
    return f"{count} service{'s' if count > 1 else ''}"


def _measuring(count: int) -> Entry:
    def entry(contestant: Contestant, directory: Path) -> Mapping[str, float]:
        """Services that sleep, on a network of their own: up, up again, down."""
        compose = contestant.compose(stack_file(directory / contestant.name, count, "stack"))
        with _gone_at_the_end(contestant, [*compose, "down"]):
            up_s = contestant.time([*compose, "up", "-d"])
            expect(contestant, count)
            again_s = contestant.time([*compose, "up", "-d"])
            expect(contestant, count)
            down_s = contestant.time([*compose, "down"])
        expect(contestant, 0)
        return {up_title(count): up_s, again_title(count): again_s, down_title(count): down_s}

    return entry


@contextlib.contextmanager
def _gone_at_the_end(contestant: Contestant, down: list[str]) -> Iterator[None]:
    """What failed half-way is not in the way of the next."""
    try:
        yield
    except BaseException:
        contestant.succeeds(*down)
        raise


def _floor(count: int) -> Entry:
    def entry(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
        """As many bare containers on a bridge, two at a time."""
        up_s, down_s = floor.up_and_down(contestant, count)
        return {up_title(count): up_s, down_title(count): down_s}

    return entry


_SYNCED = {
    "pystack": "nothing: its records are in SQLite's log, which is synced at checkpoints",
    "docker": "each container's files and records, and the networks', fsync each",
    "podman": "each container's records, by SQLite or bolt",
    FLOOR: "nothing",
}
STACKS = tuple(
    Benchmark(
        f"up-{count}",
        f"stacks of {count}",
        _measuring(count),
        (
            Measure(up_title(count), UP_TARGET),
            Measure(again_title(count), AGAIN_TARGET if count == LARGE else None),
            Measure(down_title(count), DOWN_TARGET),
        ),
        synced=_SYNCED,
        floor=_floor(count),
        most_runs=5 if count == LARGE else None,
    )
    for count in COUNTS
)
