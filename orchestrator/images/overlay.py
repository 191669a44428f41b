"""A layer's tree, as its tar left it, in the form that overlayfs stacks. Blocking.

Whiteout files become what the kernel takes for them, and directories that the tar did not list,
only files in them, are found: they are to look like the directory below them (see `settle`).

Source: OCI image specification, "Whiteouts"; kernel document filesystems/overlayfs.rst.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from orchestrator.aio.trees import remove_tree
from orchestrator.images.layertar import OPAQUE, WHITEOUT

# tar gives directories that it must make unasked the mode 0777 & ~umask, and the time of day.
TAR_UMASK = 0o666
_UNASKED = 0o111
_IMPLICIT_MODE = 0o755


class Converted(NamedTuple):
    """What was found: the bytes that regular files hold (hard links once), and the directories
    that the tar did not list, as paths below the layer."""

    content_bytes: int
    implicit: tuple[bytes, ...]


def to_overlay(directory: Path, began_at: float = float("inf")) -> Converted:
    """What the tree holds, now that it is converted. `began_at` is when unpacking it began: what
    tar made unasked is not older, and gets mode 0755 and the time 0 until it is settled.

    Raises: ValueError: a whiteout names nothing that a layer could hide.
    """
    total = 0
    seen: set[int] = set()
    implicit: list[bytes] = []
    top = os.fsencode(directory)
    waiting = [top]
    while waiting:
        at = waiting.pop()
        marks: list[bytes] = []
        for entry in _entries(at):
            if entry.name.startswith(WHITEOUT):
                marks.append(entry.name)
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif entry.is_file(follow_symlinks=False):
                info = entry.stat(follow_symlinks=False)
                if info.st_nlink == 1 or info.st_ino not in seen:
                    total += info.st_size
                    if info.st_nlink > 1:
                        seen.add(info.st_ino)
        times = os.lstat(at)
        for mark in marks:
            _apply(at, mark)
        if at != top and stat.S_IMODE(times.st_mode) == _UNASKED and times.st_mtime >= began_at:
            implicit.append(at[len(top) + 1 :])
            os.chmod(at, _IMPLICIT_MODE)  # noqa: PTH101 (bytes)
            os.utime(at, ns=(0, 0))
        elif marks:
            os.utime(at, ns=(times.st_atime_ns, times.st_mtime_ns))
    return Converted(total, tuple(sorted(implicit)))


def _entries(directory: bytes) -> Iterator[os.DirEntry[bytes]]:
    with os.scandir(directory) as scan:
        yield from scan


def _apply(directory: bytes, mark: bytes) -> None:
    path = directory + b"/" + mark
    if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114 (bytes)
        remove_tree(Path(os.fsdecode(path)))
    else:
        os.unlink(path)  # noqa: PTH108
    if mark == OPAQUE:
        _make_opaque(directory)
    elif not mark.startswith(WHITEOUT * 2):  # aufs' own bookkeeping
        name = mark.removeprefix(WHITEOUT)
        if name in (b"", b".", b".."):
            raise ValueError(f"a whiteout is named {os.fsdecode(mark)}")
        hidden = directory + b"/" + name
        try:
            kind = os.lstat(hidden).st_mode
        except FileNotFoundError:
            os.mknod(hidden, stat.S_IFCHR, 0)
            return
        # The layer hides the name and gives it anew; only a directory would still be merged.
        if stat.S_ISDIR(kind):
            _make_opaque(hidden)


def _make_opaque(directory: bytes) -> None:
    os.setxattr(directory, "trusted.overlay.opaque", b"y", follow_symlinks=False)
