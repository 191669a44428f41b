"""SELinux labels as they are written to files; nothing here needs a kernel that enforces them."""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.model.container import Mount
from orchestrator.runtime.selinux import Labels, relabel_all

MINE = "system_u:object_r:container_file_t:s0:c1,c2"
SHARED = "system_u:object_r:container_file_t:s0"


def label(path: Path) -> str:
    return os.getxattr(path, "security.selinux", follow_symlinks=False).rstrip(b"\0").decode()


def test_own_files_and_what_is_mounted_with_z_are_labelled_and_nothing_else(tmp_path: Path) -> None:
    files = tmp_path / "files"
    for directory in ("files", "volume/deep", "shared", "private", "plain"):
        (tmp_path / directory).mkdir(parents=True)
    for file in ("files/hosts", "files/container.log", "volume/deep/f", "private/f", "plain/f"):
        (tmp_path / file).touch()
    (tmp_path / "private/link").symlink_to(tmp_path / "plain/f")
    binds = [
        (Mount(kind="volume", target="/v"), str(tmp_path / "volume")),
        (Mount(kind="bind", target="/s", relabel="z"), str(tmp_path / "shared")),
        (Mount(kind="bind", target="/p", relabel="Z"), str(tmp_path / "private")),
        (Mount(kind="bind", target="/b"), str(tmp_path / "plain")),
        (Mount(kind="tmpfs", target="/t"), ""),
    ]
    relabel_all(Labels(), files, binds)
    before = label(tmp_path / "plain") if "security.selinux" in os.listxattr(tmp_path) else None
    relabel_all(Labels("p", MINE), files, binds)
    assert {label(tmp_path / p) for p in ("files/hosts", "private", "private/f")} == {MINE}
    assert label(tmp_path / "private/link") == MINE
    assert {label(tmp_path / p) for p in ("volume", "volume/deep/f", "shared")} == {SHARED}
    for path in (tmp_path / "plain/f", files / "container.log"):
        assert before or "security.selinux" not in os.listxattr(path)
