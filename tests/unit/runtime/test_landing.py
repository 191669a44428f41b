"""Where mounts land in a root full of links."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.runtime.landing import check_landing, landing


@pytest.mark.parametrize(
    ("target", "place"),
    [
        ("/data", "/data"),
        ("/data//./x/", "/data/x"),
        ("/not/../there", "/there"),
        ("/../../..", "/"),
        ("/absolute", "/etc/passwd"),
        ("/absolute/below", "/etc/passwd/below"),
        ("/up", "/etc"),
        ("/dir/relative/x", "/dir/real/x"),
        ("/chain", "/dir/real"),
        ("/dangling/a", "/nowhere/yet/a"),
        ("/dir/relative/../x", "/dir/x"),
    ],
)
def test_links_are_followed_as_if_the_tree_were_all_there_is(
    tmp_path: Path, target: str, place: str
) -> None:
    (tmp_path / "dir/real").mkdir(parents=True)
    (tmp_path / "dir/relative").symlink_to("real")
    (tmp_path / "absolute").symlink_to("/etc/passwd")
    (tmp_path / "up").symlink_to("../../../../../../etc")
    (tmp_path / "chain").symlink_to("/dir/relative")
    (tmp_path / "dangling").symlink_to("/nowhere/yet")
    assert landing(tmp_path, target) == place


def test_circles_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("/b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(InvalidInput, match="circles"):
        landing(tmp_path, "/a/x")


def test_proc_is_what_it_is() -> None:
    check_landing("/proc", "proc")
    check_landing("/proc/meminfo", "bind")
    check_landing("/process", "bind")
    for target in ("/proc", "/proc/self/attr", "/proc/1", "/proc/sys"):
        with pytest.raises(InvalidInput, match="inside /proc"):
            check_landing(target, "bind")
