"""Paths in a tree that somebody else fills never lead out of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.aio.rooted import make_directory, opened, read_text, real_path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    tree = tmp_path / "tree"
    (tree / "usr/lib").mkdir(parents=True)
    (tree / "usr/lib/file").write_text("inside")
    (tree / "lib").symlink_to("/usr/lib")
    (tree / "out").symlink_to(tmp_path / "outside")
    (tree / "up").symlink_to("../outside")
    return tree


def test_links_are_followed_as_if_the_tree_were_the_machine(tree: Path) -> None:
    assert read_text(tree, "/lib/file") == "inside"
    assert real_path(tree, "lib/../lib/file") == tree / "usr/lib/file"
    assert real_path(tree, "/../../..") == tree


@pytest.mark.parametrize("path", ["out/secret", "up/secret", "../outside/secret", "proc/self/root"])
def test_no_path_leads_out(tree: Path, path: str) -> None:
    assert read_text(tree, path) == ""
    with pytest.raises(OSError, match=r"No such file|Not a directory"), opened(tree, path):
        pass


def test_a_fifo_does_not_stop_the_reader(tree: Path) -> None:
    os.mkfifo(tree / "fifo")
    assert read_text(tree, "fifo") == ""


def test_directories_are_made_inside_with_owner_and_mode(tree: Path) -> None:
    assert make_directory(tree, "/lib/a/b", mode=0o700, uid=os.geteuid(), gid=os.getegid())
    assert (tree / "usr/lib/a/b").stat().st_mode & 0o777 == 0o700
    assert not make_directory(tree, "/lib/a/b")
    with pytest.raises(NotADirectoryError):
        make_directory(tree, "lib/file/x")


def test_a_dangling_link_out_of_the_tree_makes_nothing_outside(tree: Path) -> None:
    with pytest.raises(OSError, match="exists"):
        make_directory(tree, "/out/new")
    assert not (tree.parent / "outside/new").exists()
