"""Paths inside a tree that somebody else fills: a container's root, a volume.

Absolute and relative symbolic links are followed as if the tree were the whole machine, so no link
in it can lead to a file outside.  Source: openat2(2), RESOLVE_IN_ROOT.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.aio.libc import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2

_INSIDE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS


@contextmanager
def opened(root: Path, path: str, flags: int = os.O_PATH) -> Iterator[int]:
    """A descriptor of `path` in the tree `root` while the block lasts.

    Raises: OSError: FileNotFoundError, NotADirectoryError, ...
    """
    with _directory(root) as root_fd:
        fd = openat2(root_fd, path.lstrip("/") or ".", flags, resolve=_INSIDE)
    try:
        yield fd
    finally:
        os.close(fd)


def read_text(root: Path, path: str, *, most: int = 1 << 22) -> str:
    """The text of a regular file in the tree, "" where there is none; at most `most` bytes."""
    try:
        # Non-blocking, or a fifo put there would stop the reader for ever.
        with opened(root, path, os.O_RDONLY | os.O_NONBLOCK) as fd:
            return _read(fd, most).decode(errors="replace")
    except OSError:
        return ""


def _read(fd: int, most: int) -> bytes:
    data = bytearray()
    while len(data) < most and (piece := os.read(fd, most - len(data))):
        data += piece
    return bytes(data)


def real_path(root: Path, path: str) -> Path:
    """Where `path` in the tree really is, as a path of this machine with no link left in it.

    The answer is as true as the tree is still: hold a descriptor (`opened`) where somebody could
    change it meanwhile. Raises: OSError.
    """
    with opened(root, path) as fd:
        return Path(f"/proc/self/fd/{fd}").readlink()


def make_directory(root: Path, path: str, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> bool:
    """Make `path` and its missing parents in the tree; True when the last one is new.

    Raises: OSError: NotADirectoryError where a part is something else.
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    made = False
    with _directory(root) as root_fd:
        for depth in range(1, len(parts) + 1):
            here = "/".join(parts[:depth])
            made = not _is_directory(root_fd, here)
            if made:
                _make_one(root_fd, here, mode, (uid, gid))
    return made


def _is_directory(root_fd: int, path: str) -> bool:
    try:
        os.close(openat2(root_fd, path, os.O_PATH | os.O_DIRECTORY, resolve=_INSIDE))
    except FileNotFoundError:
        return False
    return True


def _make_one(root_fd: int, path: str, mode: int, owner: tuple[int, int]) -> None:
    above, _, name = path.rpartition("/")
    parent = openat2(root_fd, above or ".", os.O_PATH | os.O_DIRECTORY, resolve=_INSIDE)
    try:
        os.mkdir(name, mode, dir_fd=parent)
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY, dir_fd=parent)
        try:
            os.fchown(fd, *owner)
            os.fchmod(fd, mode)
        finally:
            os.close(fd)
    finally:
        os.close(parent)


@contextmanager
def _directory(root: Path) -> Iterator[int]:
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)
