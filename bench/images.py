"""Images, measured: pulled, loaded, saved, pushed, and the unpacking alone.

The image has four layers, and each run takes a variant of it that nobody has any layer of.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench import hub
from bench.contestants import Contestant
from bench.entry import FLOOR, Benchmark, Measure

TARGET = 0.6
PULL, LOAD, SAVE, PUSH = (
    "pull of 4 layers",
    "load of 4 layers from an archive",
    "save of 4 layers to an archive",
    "push of 4 layers",
)
UNPACK = "import of a tree of some 9,000 files"
_TREE = Path("/usr/lib/python3.11")
_COPIES = 2
_SAVED = 9000
"""The number of the variant that is saved."""


def pull(contestant: Contestant, directory: Path) -> Mapping[str, float]:
    """From a registry on this machine: fetched, checked, decompressed, unpacked."""
    reference = f"{hub.PULLED}:{_turn(contestant, directory, 'pull')}"
    os.sync()  # what others wrote is not our business
    return {PULL: contestant.time([*contestant.command(), "pull", *contestant.insecure, reference])}


def load(contestant: Contestant, directory: Path) -> Mapping[str, float]:
    """From a file as `docker save` writes it, of plain layers: unpacked, hashed."""
    with _loaded(contestant, directory, _turn(contestant, directory, "load")) as seconds:
        return {LOAD: seconds}


def push(contestant: Contestant, directory: Path) -> Mapping[str, float]:
    """To a registry on this machine that has none of it; the image was loaded from plain layers."""
    number = _turn(contestant, directory, "push") + 1000
    with _loaded(contestant, directory, number):
        os.sync()
        argv = [*contestant.command(), "push", *contestant.insecure, f"{hub.PUSHED}:{number}"]
        return {PUSH: contestant.time(argv)}


@contextlib.contextmanager
def one_loaded(contestant: Contestant, directory: Path) -> Iterator[None]:
    """An image to be saved."""
    with _loaded(contestant, directory, _SAVED):
        yield


def save(contestant: Contestant, directory: Path) -> Mapping[str, float]:
    """To a file that is not there yet; the image was loaded from plain layers."""
    archive = directory / f"saved-{contestant.name}.tar"
    os.sync()
    argv = [*contestant.command(), "save", "-o", str(archive), f"{hub.PUSHED}:{_SAVED}"]
    seconds = contestant.time(argv)
    archive.unlink()
    return {SAVE: seconds}


def unpack(contestant: Contestant, directory: Path) -> Mapping[str, float]:
    """A plain tar becomes an image of one layer: unpacking, hashing and recording, with neither a
    network nor decompression."""
    root = _root(directory)
    reference = f"localhost/bench/tree:{secrets.token_hex(4)}"
    os.sync()
    seconds = contestant.time([*contestant.command(), "import", str(root), reference])
    contestant.output(*contestant.command(), "rmi", reference)
    return {UNPACK: seconds}


def unpack_bare(contestant: Contestant, directory: Path) -> Mapping[str, float]:
    """GNU tar alone."""
    target = contestant.directory / f"tree-{secrets.token_hex(4)}"
    target.mkdir()
    os.sync()
    return {UNPACK: contestant.time(["tar", "-xf", str(_root(directory)), "-C", str(target)])}


@contextlib.contextmanager
def _loaded(contestant: Contestant, directory: Path, number: int) -> Iterator[float]:
    """The seconds that loading variant `number` took, which is there while the block lasts."""
    archive = hub.archive_in(directory, number)
    os.sync()
    seconds = contestant.time([*contestant.command(), "load", "-i", str(archive)])
    try:
        yield seconds
    finally:
        contestant.output(*contestant.command(), "rmi", f"{hub.PUSHED}:{number}")


def _turn(contestant: Contestant, directory: Path, what: str) -> int:
    """How often the contestant has done that."""
    count = directory / f"{what}-{contestant.name}"
    number = int(count.read_text()) + 1 if count.exists() else 0
    count.write_text(str(number))
    return number


def _root(directory: Path) -> Path:
    """The tar of the tree, made once."""
    path = directory / "tree.tar"
    if not path.exists():
        half = path.with_suffix(".half")
        with tarfile.open(half, "w") as tar:
            for number in range(_COPIES):
                tar.add(_TREE, f"opt/{number}")
        half.rename(path)
    return path


_SYNCED = {
    "pystack": "every blob (fsync), and the unpacked files before they are recorded (syncfs)",
    "docker": "the records (fsync); the unpacked files are left to the kernel",
    "podman": "the records (fsync); the unpacked files are left to the kernel",
    FLOOR: "nothing",
}
_WRITES = {
    "pystack": "nothing",
    "docker": "nothing",
    "podman": "nothing",
}
IMAGES = (
    Benchmark(
        "pull", "images", pull, (Measure(PULL, TARGET),), synced=_SYNCED, needs_registry=True
    ),
    Benchmark(
        "unpack", "images", unpack, (Measure(UNPACK, TARGET),), synced=_SYNCED, floor=unpack_bare
    ),
    Benchmark(
        "load", "images", load, (Measure(LOAD, TARGET),), synced=_SYNCED, needs_registry=True
    ),
    Benchmark(
        "save",
        "images",
        save,
        (Measure(SAVE, TARGET),),
        synced=_WRITES,
        setting=one_loaded,
        needs_registry=True,
    ),
    Benchmark(
        "push", "images", push, (Measure(PUSH, TARGET),), synced=_WRITES, needs_registry=True
    ),
)
