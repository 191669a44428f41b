"""Images to and from files: an image of some 9,000 files is imported, saved and loaded."""

from __future__ import annotations

import os
import secrets
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.contestants import Contestant

_TREE = Path("/usr/lib/python3.11")
_COPIES = 2
_NAME = "localhost/bench/tree"


def unpack(contestant: Contestant, directory: Path) -> Mapping[str, float]:
    """The tar of a file tree becomes an image: unpacked, hashed, recorded."""
    root = _root(directory)
    reference = f"{_NAME}:{secrets.token_hex(4)}"
    os.sync()
    seconds = contestant.time([*contestant.command(), "import", str(root), reference])
    contestant.output(*contestant.command(), "rmi", reference)
    return {"import of a tree": seconds}


def save_and_load(contestant: Contestant, directory: Path) -> Mapping[str, float]:
    """An image is written to a file, removed, and read again."""
    archive = directory / f"saved-{contestant.name}.tar"
    archive.unlink(missing_ok=True)
    reference = f"{_NAME}:{secrets.token_hex(4)}"
    contestant.output(*contestant.command(), "import", str(_root(directory)), reference)
    os.sync()
    save_s = contestant.time([*contestant.command(), "save", "-o", str(archive), reference])
    contestant.output(*contestant.command(), "rmi", reference)
    os.sync()
    load_s = contestant.time([*contestant.command(), "load", "-i", str(archive)])
    contestant.output(*contestant.command(), "rmi", reference)
    archive.unlink()
    return {"save": save_s, "load": load_s}


def _root(directory: Path) -> Path:
    """The tar of the tree, made once."""
    path = directory / "tree.tar"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".half")
        with tarfile.open(half, "w") as tar:
            for number in range(_COPIES):
                tar.add(_TREE, f"opt/{number}")
        half.rename(path)
    return path


ARCHIVES: Mapping[str, Callable[[Contestant, Path], Mapping[str, float]]] = {
    "import": unpack,
    "save": save_and_load,
}
