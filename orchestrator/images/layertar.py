"""A layer directory (the upper directory of an overlay) as the tar that image registries know.

The same directory gives the same bytes every time, so a layer's digest can be made again when it
is pushed or saved. Blocking: callers use worker threads. Unpacking is `unpack`'s.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from orchestrator.errors import Failed
from orchestrator.images import tarheader
from orchestrator.images.tarheader import Entry, entry_of

WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"
_CHUNK = 1 << 20
_OVERLAY = ("trusted.overlay.", "user.overlay.")
_KEPT_XATTRS = ("user.", "security.capability")


class LayerDiff(NamedTuple):
    """A layer's tar: its digest, its size in bytes, and the bytes its regular files hold."""

    diff_id: str
    tar_bytes: int
    content_bytes: int


def diff_of(directory: Path) -> LayerDiff:
    """What `stream_layer` would give, without keeping it.

    Raises: Failed: as stream_layer.
    """
    sha = hashlib.sha256()
    content = [0]
    size = 0
    for piece in stream_layer(directory, content):
        sha.update(piece)
        size += len(piece)
    return LayerDiff(f"sha256:{sha.hexdigest()}", size, content[0])


def stream_layer(directory: Path, content_bytes: list[int] | None = None) -> Iterator[bytes]:
    """The layer's tar, piece by piece, entries sorted by path; adds to content_bytes[0] the size
    of every regular file as it passes. Sockets are left out: no layer can hold one.

    Raises: Failed: the directory was written by an overlay mount with redirect_dir or metacopy,
    whose files are not all in it.
    Source: OCI image specification, "Image Layer Filesystem Changeset"; kernel document
    filesystems/overlayfs.rst, "whiteouts and opaque directories".
    """
    names: dict[tuple[int, int], bytes] = {}
    for path, name in _walk(os.fsencode(directory)):
        info = os.lstat(path)
        if stat.S_ISDIR(info.st_mode):
            yield from _directory(path, name, info)
        elif stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
            yield tarheader.header(Entry(name=_whiteout_name(name), kind=tarheader.REGULAR))
        elif not stat.S_ISSOCK(info.st_mode):
            first = names.setdefault((info.st_dev, info.st_ino), name)
            if first != name:
                yield tarheader.header(entry_of(name, tarheader.HARDLINK, info, link=first))
            else:
                yield from _leaf(path, name, info, content_bytes)
    yield tarheader.END


def is_opaque(path: bytes) -> bool:
    """Whether a directory hides what lower layers hold under its name."""
    for name in _OVERLAY:
        try:
            if os.getxattr(path, name + "opaque", follow_symlinks=False) == b"y":
                return True
        except OSError:
            continue
    return False


def _walk(directory: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Every path below directory and its name in the tar, parents before children, sorted."""
    waiting = [(directory, b"", True)]
    while waiting:
        path, name, is_directory = waiting.pop()
        if name:
            yield path, name
        if not is_directory:
            continue
        prefix = name + b"/" if name else b""
        with os.scandir(path) as scan:
            found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in scan)
        # The last is taken first; a name that begins so could only be read as a whiteout.
        waiting += [
            (path + b"/" + base, prefix + base, is_dir)
            for base, is_dir in reversed(found)
            if not base.startswith(WHITEOUT)
        ]


def _directory(path: bytes, name: bytes, info: os.stat_result) -> Iterator[bytes]:
    yield tarheader.header(
        entry_of(name + b"/", tarheader.DIRECTORY, info, xattrs=_xattrs(path, name))
    )
    if is_opaque(path):
        yield tarheader.header(Entry(name=name + b"/" + OPAQUE, kind=tarheader.REGULAR))


def _leaf(
    path: bytes, name: bytes, info: os.stat_result, content_bytes: list[int] | None
) -> Iterator[bytes]:
    xattrs = _xattrs(path, name)
    if stat.S_ISREG(info.st_mode):
        yield tarheader.header(
            entry_of(name, tarheader.REGULAR, info, size=info.st_size, xattrs=xattrs)
        )
        yield from _data(path, info.st_size)
        if content_bytes is not None:
            content_bytes[0] += info.st_size
    elif stat.S_ISLNK(info.st_mode):
        target = os.readlink(path)  # noqa: PTH115 (names are bytes here, as on disk)
        yield tarheader.header(entry_of(name, tarheader.SYMLINK, info, link=target, xattrs=xattrs))
    else:
        kind = {stat.S_IFCHR: tarheader.CHAR, stat.S_IFBLK: tarheader.BLOCK_DEVICE}.get(
            stat.S_IFMT(info.st_mode), tarheader.FIFO
        )
        yield tarheader.header(entry_of(name, kind, info, device=info.st_rdev, xattrs=xattrs))


def _data(path: bytes, size: int) -> Iterator[bytes]:
    """Exactly size bytes of the file: the header has promised them."""
    left = size
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        while left:
            piece = os.read(fd, min(_CHUNK, left))
            if not piece:
                raise Failed(
                    f"{os.fsdecode(path)} shrank while it was read",
                    code="layer-changed",
                    hint="nothing may write to a layer that is being packed",
                )
            left -= len(piece)
            yield piece
    finally:
        os.close(fd)
    if rest := tarheader.padding(size):
        yield rest


def _xattrs(path: bytes, name: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for key in os.listxattr(path, follow_symlinks=False):
        if key.startswith(_OVERLAY):
            if key.endswith((".redirect", ".metacopy")):
                raise Failed(
                    f"{os.fsdecode(name)} is not wholly in this layer ({key})",
                    code="layer-incomplete",
                    hint="mount overlays with redirect_dir=off,metacopy=off",
                )
        elif key.startswith(_KEPT_XATTRS):
            found[os.fsencode(key)] = os.getxattr(path, key, follow_symlinks=False)
    return found


def _whiteout_name(name: bytes) -> bytes:
    head, slash, base = name.rpartition(b"/")
    return head + slash + WHITEOUT + base
