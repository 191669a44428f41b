"""Whole file trees that somebody else filled: removed and measured, however deep they are.

No path is longer than one name here, and no call nests, because a container can make directories
deeper than PATH_MAX and than Python's stack. No link is followed. Blocking.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Directories held open at once while going down; what is deeper is moved up first.
_DEEPEST = 200


class _Level(NamedTuple):
    """A directory on the way down: its descriptor, its name, its directories still to be seen."""

    fd: int
    name: str
    below: list[str]


def remove_tree(root: Path) -> None:
    """Nothing, once root and all below it is gone as far as this process may; absent is no error.

    Mount points below stay, and so does what leads to them.
    """
    with suppress(FileNotFoundError, NotADirectoryError):
        top = os.open(root, _FLAGS)
        try:
            _empty(top)
        finally:
            os.close(top)
        with suppress(OSError):
            root.rmdir()


def tree_bytes(root: Path) -> int:
    """The bytes that the files below root say they hold, hard links counted once; directories
    count nothing. What goes away meanwhile is passed over.

    Source: docker's "ps --size", which adds up the same.
    """
    total = 0
    seen: set[tuple[int, int]] = set()
    for info in _files(root):
        if info.st_nlink > 1:
            key = (info.st_dev, info.st_ino)
            if key in seen:
                continue
            seen.add(key)
        total += info.st_size
    return total


def _files(root: Path) -> Iterator[os.stat_result]:
    waiting = [os.fspath(root)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as scan:
            for entry in scan:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        yield entry.stat(follow_symlinks=False)


def _empty(top: int) -> None:
    """Removes what it can of everything in the directory that top is a descriptor of."""
    levels = [_Level(top, "", _clear(top))]
    while levels:
        level = levels[-1]
        if not level.below:
            levels.pop()
            if levels:
                os.close(level.fd)
                with suppress(OSError):
                    os.rmdir(level.name, dir_fd=levels[-1].fd)
            continue
        name = level.below.pop()
        with suppress(OSError):
            if len(levels) < _DEEPEST:
                fd = os.open(name, _FLAGS, dir_fd=level.fd)
                levels.append(_Level(fd, name, _clear(fd)))
            else:
                # Too deep: it becomes the top's own, and has its turn there.
                moved = f".deep-{secrets.token_hex(8)}"
                os.rename(name, moved, src_dir_fd=level.fd, dst_dir_fd=top)
                levels[0].below.append(moved)


def _clear(fd: int) -> list[str]:
    """The names of a directory's directories, all else in it being gone."""
    with os.scandir(fd) as scan:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in scan]
    for name, is_directory in found:
        if not is_directory:
            with suppress(OSError):
                os.unlink(name, dir_fd=fd)
    return [name for name, is_directory in found if is_directory]
