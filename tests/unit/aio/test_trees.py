"""Trees are removed and measured whatever is in them."""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.aio.trees import remove_tree, tree_bytes


def test_a_tree_deeper_than_any_path_is_removed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    fd = os.open(root, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d" * 10, dir_fd=fd)
        below = os.open("d" * 10, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("leaf", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    remove_tree(root)
    assert not root.exists()


def test_no_link_is_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("kept")
    root = tmp_path / "root"
    (root / "in").mkdir(parents=True)
    (root / "in/door").symlink_to(outside)
    (root / "in/file").symlink_to(outside / "precious")
    (tmp_path / "entry").symlink_to(outside)
    remove_tree(root)
    remove_tree(tmp_path / "entry")
    assert not root.exists()
    assert (outside / "precious").read_text() == "kept"


def test_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    remove_tree(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    remove_tree(tmp_path / "file")
    assert tree_bytes(tmp_path / "absent") == 0


def test_every_kind_of_file_goes(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "locked").mkdir(parents=True, mode=0o000)
    os.mkfifo(root / "fifo")
    (root / ".hidden").write_text("x")
    (root / b"\xff\xfe".decode("utf-8", "surrogateescape")).write_text("x")
    remove_tree(root)
    assert not root.exists()


def test_bytes_are_counted_once_for_a_file_and_not_for_directories(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/one").write_bytes(b"12345")
    os.link(tmp_path / "a/one", tmp_path / "a/b/again")
    (tmp_path / "a/b/two").write_bytes(b"678")
    (tmp_path / "a/link").symlink_to("one")
    with (tmp_path / "holes").open("wb") as file:
        file.truncate(1000)
    assert tree_bytes(tmp_path) == 5 + 3 + len("one") + 1000
