"""Part of a live file tree as a tar, while somebody else may be changing it.

Every step is taken from the descriptor of the directory above and follows no link, so whatever is
swapped for a link meanwhile leads nowhere outside. Blocking: callers use worker threads.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.images import tarheader
from orchestrator.images.layertar import OPAQUE, WHITEOUT
from orchestrator.images.tarheader import Entry, entry_of

_CHUNK = 1 << 18
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KEPT_XATTRS = ("user.", "security.capability")
_OPAQUE_XATTRS = ("trusted.overlay.opaque", "user.overlay.opaque")


@dataclass(slots=True, kw_only=True)
class Rules:
    """What a tar holds: `skip` is asked with each path in it, without a slash at its end.

    With `layer`, an overlay's own marks become those of an image layer.
    Source: OCI image specification, "Image Layer Filesystem Changeset".
    """

    skip: Callable[[bytes], bool] = lambda _: False
    layer: bool = False
    seen: dict[tuple[int, int], bytes] = field(default_factory=dict)


def stream_entry(parent: int, base: bytes, name: bytes, rules: Rules) -> Iterator[bytes]:
    """The tar of what is `base` in the directory `parent`, and all below it, under `name`.

    Raises: OSError: it is not there.
    """
    info = os.stat(base, dir_fd=parent, follow_symlinks=False)
    if stat.S_ISDIR(info.st_mode):
        directory = os.open(base, _OPEN | os.O_DIRECTORY, dir_fd=parent)
        try:
            yield from stream_directory(directory, name, rules)
        finally:
            os.close(directory)
        return
    yield from _leaf(parent, base, name, info, rules)
    yield tarheader.END


def stream_directory(directory: int, name: bytes, rules: Rules) -> Iterator[bytes]:
    """The tar of the directory `directory` and all below it, under `name` ("" for no name)."""
    if name:
        yield from _directory(directory, name, rules)
    yield from _below(directory, name + b"/" if name else b"", rules)
    yield tarheader.END


def stream_path(directory: Path, rules: Rules) -> Iterator[bytes]:
    """The tar of all that is below a directory given by its path."""
    fd = os.open(directory, _OPEN | os.O_DIRECTORY)
    try:
        yield from stream_directory(fd, b"", rules)
    finally:
        os.close(fd)


def _below(top: int, prefix: bytes, rules: Rules) -> Iterator[bytes]:
    # Not recursive: a tree can be made deeper than Python's stack.
    opened: list[tuple[int, bytes, list[bytes]]] = [(top, prefix, _names(top))]
    try:
        while opened:
            directory, prefix, names = opened[-1]
            if not names:
                opened.pop()
                if directory != top:
                    os.close(directory)
                continue
            base = names.pop()
            name = prefix + base
            if rules.skip(name) or (rules.layer and base.startswith(WHITEOUT)):
                continue
            with suppress(FileNotFoundError, NotADirectoryError):  # it went away, or changed
                info = os.stat(base, dir_fd=directory, follow_symlinks=False)
                if not stat.S_ISDIR(info.st_mode):
                    yield from _leaf(directory, base, name, info, rules)
                    continue
                below = _opened(directory, base)
                if below >= 0:
                    opened.append((below, name + b"/", _names(below)))
                    yield from _directory(below, name, rules)
    finally:
        for directory, _, _ in opened:
            if directory != top:
                os.close(directory)


def _names(directory: int) -> list[bytes]:
    """The directory's names, the first one last."""
    return sorted((os.fsencode(name) for name in os.listdir(directory)), reverse=True)


def _opened(directory: int, base: bytes) -> int:
    """A descriptor of the directory `base`, -1 where a link has taken its place."""
    try:
        return os.open(base, _OPEN | os.O_DIRECTORY, dir_fd=directory)
    except OSError:
        return -1


def _directory(directory: int, name: bytes, rules: Rules) -> Iterator[bytes]:
    info = os.fstat(directory)
    slashed = name if name.endswith(b"/") else name + b"/"
    yield tarheader.header(entry_of(slashed, tarheader.DIRECTORY, info, xattrs=_xattrs(directory)))
    if rules.layer and _is_opaque(directory):
        yield tarheader.header(Entry(name=slashed + OPAQUE, kind=tarheader.REGULAR))


def _leaf(
    directory: int, base: bytes, name: bytes, info: os.stat_result, rules: Rules
) -> Iterator[bytes]:
    mode = info.st_mode
    if stat.S_ISSOCK(mode):
        return  # no tar can hold one
    if rules.layer and stat.S_ISCHR(mode) and info.st_rdev == 0:
        above, _, last = name.rpartition(b"/")
        whiteout = (above + b"/" if above else b"") + WHITEOUT + last
        yield tarheader.header(Entry(name=whiteout, kind=tarheader.REGULAR))
        return
    if info.st_nlink > 1:
        first = rules.seen.setdefault((info.st_dev, info.st_ino), name)
        if first != name:
            yield tarheader.header(entry_of(name, tarheader.HARDLINK, info, link=first))
            return
    if stat.S_ISREG(mode):
        yield from _file(directory, base, name)
    elif stat.S_ISLNK(mode):
        link = os.readlink(base, dir_fd=directory)
        yield tarheader.header(entry_of(name, tarheader.SYMLINK, info, link=link))
    else:
        kind = {stat.S_IFCHR: tarheader.CHAR, stat.S_IFBLK: tarheader.BLOCK_DEVICE}.get(
            stat.S_IFMT(mode), tarheader.FIFO
        )
        yield tarheader.header(entry_of(name, kind, info, device=info.st_rdev))


def _file(directory: int, base: bytes, name: bytes) -> Iterator[bytes]:
    try:
        fd = os.open(base, _OPEN, dir_fd=directory)
    except OSError:
        return  # a link or a device has taken its place
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            return
        yield tarheader.header(
            entry_of(name, tarheader.REGULAR, info, size=info.st_size, xattrs=_xattrs(fd))
        )
        left = info.st_size
        while left:
            # The header has promised this many bytes: a file cut meanwhile ends in zeros.
            piece = os.read(fd, min(_CHUNK, left)) or bytes(min(_CHUNK, left))
            left -= len(piece)
            yield piece
        if rest := tarheader.padding(info.st_size):
            yield rest
    finally:
        os.close(fd)


def _xattrs(fd: int) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    with suppress(OSError):  # not every file system has them
        for key in os.listxattr(fd):
            if key.startswith(_KEPT_XATTRS) and not key.startswith("user.overlay."):
                found[os.fsencode(key)] = os.getxattr(fd, key)
    return found


def _is_opaque(directory: int) -> bool:
    for key in _OPAQUE_XATTRS:
        with suppress(OSError):
            if os.getxattr(directory, key) == b"y":
                return True
    return False
