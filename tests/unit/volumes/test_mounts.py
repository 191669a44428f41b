"""Where a bind mount's source is, and what overlay options look like."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import NotFound
from orchestrator.model.container import Mount
from orchestrator.volumes.mounts import bind_source


def test_a_missing_host_directory_is_made_only_when_wanted(tmp_path: Path) -> None:
    wanted = Mount(kind="bind", target="/x", source=str(tmp_path / "new/dir"))
    with pytest.raises(NotFound) as caught:
        bind_source(wanted, tmp_path / "new/dir")
    assert caught.value.code == "no-such-path"
    making = Mount(kind="bind", target="/x", create_host_path=True)
    assert bind_source(making, tmp_path / "new/dir").is_dir()


def test_a_file_may_be_bound_even_when_directories_would_be_made(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    making = Mount(kind="bind", target="/x", create_host_path=True)
    assert bind_source(making, file) == file


def test_a_sub_path_stays_inside_its_volume(tmp_path: Path) -> None:
    volume = tmp_path / "v"
    (volume / "etc").mkdir(parents=True)
    (volume / "link").symlink_to("/etc")
    (volume / "up").symlink_to("../../..")
    assert bind_source(_sub("link"), volume) == volume / "etc"
    assert bind_source(_sub("up"), volume) == volume
    assert bind_source(_sub("../../etc"), volume) == volume / "etc"
    with pytest.raises(NotFound):
        bind_source(_sub("missing"), volume)


def _sub(subpath: str) -> Mount:
    return Mount(kind="volume", target="/x", source="v", subpath=subpath)
