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
        bind_source(wanted, tmp_path / "new/dir", tmp_path / "place")
    assert caught.value.code == "no-such-path"
    making = Mount(kind="bind", target="/x", create_host_path=True)
    assert bind_source(making, tmp_path / "new/dir", tmp_path / "place").is_dir()


def test_a_file_may_be_bound_even_when_directories_would_be_made(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    making = Mount(kind="bind", target="/x", create_host_path=True)
    assert bind_source(making, file, tmp_path / "place") == file
