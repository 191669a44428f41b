"""Volumes: filled from an image once, wholly, and from nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.volumes import local


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    data = tmp_path / "volumes" / "v" / "_data"
    local.create(data)
    return data


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "var/lib/db").mkdir(parents=True)
    (root / "var/lib/db").chmod(0o700)
    (root / "var/lib/db/a").write_text("content")
    (root / "var/lib/db/link").symlink_to("a")
    os.link(root / "var/lib/db/a", root / "var/lib/db/hard")
    return root


def test_an_empty_volume_takes_the_images_files_links_and_mode(volume: Path, root: Path) -> None:
    assert local.fill_from_image(volume, root, "/var/lib/db")
    assert {p.name for p in volume.iterdir()} == {"a", "link", "hard"}
    assert (volume / "link").readlink() == Path("a")
    assert (volume / "a").stat().st_ino == (volume / "hard").stat().st_ino
    assert volume.stat().st_mode & 0o7777 == 0o700


def test_a_volume_with_data_is_left_alone(volume: Path, root: Path) -> None:
    (volume / "mine").write_text("")
    assert not local.fill_from_image(volume, root, "/var/lib/db")
    assert [p.name for p in volume.iterdir()] == ["mine"]


def test_a_filled_volume_is_not_filled_again(volume: Path, root: Path) -> None:
    local.fill_from_image(volume, root, "/var/lib/db")
    (volume / "a").unlink()
    assert not local.fill_from_image(volume, root, "/var/lib/db")
    assert not (volume / "a").exists()


def test_a_copy_cut_short_is_done_again(volume: Path, root: Path) -> None:
    (volume / "half").write_text("")
    (volume.parent / "_data.filling").touch()
    assert local.fill_from_image(volume, root, "/var/lib/db")
    assert (volume / "a").read_text() == "content"
    assert not (volume.parent / "_data.filling").exists()


def test_an_image_without_the_directory_leaves_the_volume_empty(volume: Path, root: Path) -> None:
    assert not local.fill_from_image(volume, root, "/srv")
    assert list(volume.parent.iterdir()) == [volume]


def test_a_link_in_the_image_cannot_lead_out_of_it(
    volume: Path, root: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").touch()
    (root / "out").symlink_to(secret)
    (root / "up").symlink_to("../secret")
    assert not local.fill_from_image(volume, root, "/out")
    assert not local.fill_from_image(volume, root, "/up")
    (root / "in").symlink_to("/var/lib")
    assert local.fill_from_image(volume, root, "/in/db")


def test_removing_takes_the_volumes_own_directory_and_nothing_else(volume: Path) -> None:
    other = volume.parent.parent / "other" / "_data"
    local.create(other)
    local.remove(volume)
    local.remove(volume)
    assert list(volume.parent.parent.iterdir()) == [other.parent]
