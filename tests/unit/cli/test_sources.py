"""Changes of files as they are told of, while other changes are looked at too."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cli.stack.sources import changes

Changes = Iterator[set[Path]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("")
    return tmp_path


@pytest.fixture
def told(root: Path) -> Iterator[Changes]:
    """The changes below `root`; what happens before the first is asked for is told as well."""
    stop = threading.Event()
    found = changes(lambda: [root], stop, below=True)
    # The watches are there once the first change came.
    poke = threading.Timer(0.3, (root / "first").touch)
    poke.start()
    assert root / "first" in next(found)
    poke.join()
    deadline = threading.Timer(20, stop.set)
    deadline.start()
    yield found
    stop.set()
    deadline.cancel()
    deadline.join()
    assert list(found) == []


def test_what_changes_while_a_change_is_looked_at_is_told_next(root: Path, told: Changes) -> None:
    # Nobody asks now: `told` stands where the one before was handed out.
    (root / "file").write_text("changed")
    assert root / "file" in next(told)
    (root / "new").mkdir()
    (root / "new/deep").write_text("")
    assert {root / "new", root / "new/deep"} <= next(told)


def test_a_new_directory_is_watched_from_then_on(root: Path, told: Changes) -> None:
    (root / "new").mkdir()
    assert root / "new" in next(told)
    (root / "new/later").write_text("")
    assert root / "new/later" in next(told)
