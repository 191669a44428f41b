"""The context as a tree: read once, quickly, and never left."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.build.digests import FileDigests
from orchestrator.build.selection import select_all
from orchestrator.build.tree import Tree
from orchestrator.model.ignore import parse_ignore

DIRECTORIES, FILES = 1000, 100


def test_a_hundred_thousand_files_are_walked_once_and_fast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(DIRECTORIES):
        directory = tmp_path / f"d{number % 10}/e{number}"
        directory.mkdir(parents=True)
        for name in range(FILES):
            os.close(os.open(directory / str(name), os.O_CREAT | os.O_WRONLY))
    read: Counter[str] = Counter()
    scandir = os.scandir

    def counted(path: Any) -> Any:
        read[str(path)] += 1
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    began = time.process_time()
    tree = Tree(tmp_path, parse_ignore("*.log\n**/node_modules\nd9\n!d9/e9/5\n"))
    first = select_all(tree, "")
    assert first is not None
    assert len(first.items) == 90_000 + 9 + 900 + 3 + 1
    digest = first.digest(False)
    second = select_all(tree, "d1")
    assert second is not None
    assert len(second.items) == 10_000 + 100 + 1
    assert time.process_time() - began < 8
    assert set(read.values()) == {1}
    assert digest == first.digest(False)


def test_what_is_not_asked_for_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/file").touch()
    (tmp_path / "locked").mkdir(mode=0)
    tree = Tree(tmp_path)
    assert [entry.path for entry in tree.match("src/f*")] == ["src/file"]
    assert "locked" not in tree._children


def test_known_digests_are_for_files_that_cannot_have_changed(tmp_path: Path) -> None:
    context, place = tmp_path / "context", tmp_path / "digests"
    context.mkdir()
    old, new = context / "old", context / "new"
    old.write_text("one")

    def digests() -> dict[str, str | None]:
        known = FileDigests(place, context)
        tree = Tree(context, None, known)
        found = {name: known.find(entry) for name, entry in tree.children("").items()}
        for entry in tree.children("").values():
            tree.digest(entry)
        known.save()
        return found

    deadline = time.monotonic() + 10
    while not (found := digests())["old"]:
        # A file just written may change again within the same tick of the clock.
        assert time.monotonic() < deadline
        time.sleep(0.02)
    new.write_text("new")
    assert digests() == {"new": None, "old": found["old"]}
    old.write_text("two")
    os.utime(old, ns=(1, 1))
    assert digests()["old"] is None
    next(place.iterdir()).write_bytes(b"damaged")
    assert digests()["old"] is None


NAME = st.sampled_from(["a", "b", "c"])
LINK = st.lists(st.sampled_from(["a", "b", "c", "..", ".", "/"]), min_size=1, max_size=5)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(NAME, NAME, LINK), max_size=6), LINK)
def test_no_path_leads_out_of_the_tree(
    tmp_path: Path, links: list[tuple[str, str, list[str]]], path: list[str]
) -> None:
    root = tmp_path / str(time.monotonic_ns()) / "root"
    root.mkdir(parents=True)
    (root.parent / "a").write_text("outside")
    for directory, name, target in links:
        (root / directory).mkdir(exist_ok=True)
        if not os.path.lexists(root / directory / name):
            (root / directory / name).symlink_to("/".join(target))
    tree = Tree(root)
    entry = tree.find("/".join(path))
    if entry is not None:
        assert (root / entry.path).resolve(strict=False).is_relative_to(root)
        assert entry.kind != "link"
    for found in tree.match("*/*"):
        assert found.kind != "file" or tree.digest(found)
