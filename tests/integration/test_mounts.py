"""Overlay mounts in the real kernel, in the test process's own mount namespace."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.errors import Failed, NotFound
from orchestrator.model.container import Mount
from orchestrator.volumes.mounts import bind_source, mount_overlay, unmount


class Place:
    """Directories for an overlay, on a file system that can be one's upper."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.upper, self.work, self.target = path / "upper", path / "work", path / "merged"
        for directory in (self.upper, self.work, self.target):
            directory.mkdir(parents=True)

    def lower(self, name: str, text: str = "") -> Path:
        directory = self.path / name
        directory.mkdir()
        (directory / "file").write_text(text or name)
        (directory / f"only-{name[:40]}").touch()
        return directory


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path / "overlay")
    yield place
    unmount(place.target)


def test_the_first_lower_is_the_topmost(place: Place) -> None:
    lowers = [place.lower("top"), place.lower("bottom")]
    mount_overlay(lowers, place.upper, place.work, place.target)
    assert (place.target / "file").read_text() == "top"
    assert {p.name for p in place.target.iterdir()} == {"file", "only-top", "only-bottom"}


def test_writes_go_to_the_upper_only(place: Place) -> None:
    lower = place.lower("low")
    mount_overlay([lower], place.upper, place.work, place.target)
    (place.target / "file").write_text("changed")
    assert (lower / "file").read_text() == "low"
    assert (place.upper / "file").read_text() == "changed"


def test_mounting_and_unmounting_twice_is_fine(place: Place) -> None:
    lower = place.lower("low")
    for _ in range(2):
        mount_overlay([lower], place.upper, place.work, place.target)
    unmount(place.target)
    assert not place.target.is_mount()
    unmount(place.target)


def test_renaming_a_layers_directory_leaves_plain_files_above(place: Place) -> None:
    lower = place.lower("low")
    (lower / "dir").mkdir()
    (lower / "dir/inside").write_text("x")
    mount_overlay([lower], place.upper, place.work, place.target)
    with pytest.raises(OSError, match="cross-device"):
        (place.target / "dir").rename(place.target / "renamed")
    shutil.move(place.target / "dir", place.target / "renamed")
    assert (place.upper / "renamed/inside").read_text() == "x"


def test_a_hundred_layers_with_long_names_fit(place: Place) -> None:
    lowers = [place.lower(f"{n:03}" + "x" * 100) for n in range(100)]
    mount_overlay(lowers, place.upper, place.work, place.target)
    assert (place.target / "file").read_text() == lowers[0].name
    assert len(list(place.target.iterdir())) == 101


def test_names_with_colons_commas_and_backslashes_are_layers_too(tmp_path: Path) -> None:
    place = Place(tmp_path / "a:b,c\\d")
    mount_overlay([place.lower("x:y"), place.lower("z,")], place.upper, place.work, place.target)
    try:
        assert (place.target / "file").read_text() == "x:y"
    finally:
        unmount(place.target)


def test_without_an_upper_the_mount_is_read_only(place: Place) -> None:
    one = place.lower("one")
    for lowers in ([one], [place.lower("two"), one]):
        mount_overlay(lowers, None, None, place.target)
        with pytest.raises(OSError, match="Read-only"):
            (place.target / "new").touch()
        unmount(place.target)


def test_an_image_without_layers_has_an_empty_root(place: Place) -> None:
    mount_overlay([], place.upper, place.work, place.target)
    assert list(place.target.iterdir()) == []
    (place.target / "new").touch()
    assert (place.upper / "new").exists()


def test_a_missing_layer_is_told_with_a_hint(place: Place) -> None:
    with pytest.raises(Failed) as caught:
        mount_overlay([place.path / "missing"], place.upper, place.work, place.target)
    assert (caught.value.code, bool(caught.value.hint)) == ("mount-failed", True)


def test_a_sub_path_stays_inside_its_volume_whatever_links_it_holds(tmp_path: Path) -> None:
    volume, place = tmp_path / "v", tmp_path / "place"
    (volume / "etc").mkdir(parents=True)
    (volume / "etc/mine").touch()
    (volume / "link").symlink_to("/etc")
    (volume / "up").symlink_to("../../..")
    for subpath, file in (("link", "mine"), ("up", "etc/mine"), ("../../etc", "mine")):
        assert bind_source(_sub(subpath), volume, place) == place
        try:
            assert (place / file).exists(), subpath
        finally:
            unmount(place)
    assert bind_source(_sub("etc/mine"), volume, tmp_path / "file").is_file()
    unmount(tmp_path / "file")
    with pytest.raises(NotFound) as caught:
        bind_source(_sub("missing"), volume, place)
    assert caught.value.code == "no-such-path"


def _sub(subpath: str) -> Mount:
    return Mount(kind="volume", target="/x", source="v", subpath=subpath)
