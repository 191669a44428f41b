"""Local files as a tar, piece by piece."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator

_PIECE = 1 << 18
_KINDS = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
}


def tar_of(source: str, name: str, *, keep_owners: bool, follow: bool) -> Iterator[bytes]:
    """The tar of a file or directory; its entries begin with `name`, or with its own name.

    With `/.` at its end, a directory's content alone. Owners are root's unless they are kept;
    `follow` is about the source itself, not about links in it.  Raises: OSError.
    """
    content_only = source.endswith("/.") or source in (".", "/")
    name = name or ("." if content_only else os.path.basename(source.rstrip("/")))
    seen: dict[tuple[int, int], str] = {}
    follow = follow or source.endswith(("/", "/."))
    yield from _entry(source, name or ".", keep_owners=keep_owners, follow=follow, seen=seen)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _entry(
    path: str, name: str, *, keep_owners: bool, follow: bool, seen: dict[tuple[int, int], str]
) -> Iterator[bytes]:
    info = os.stat(path, follow_symlinks=follow)
    kind = _KINDS.get(stat.S_IFMT(info.st_mode))
    if kind is None:
        return  # a socket, which no tar can hold
    member = tarfile.TarInfo(name)
    member.type = kind
    member.mode = stat.S_IMODE(info.st_mode)
    member.mtime = int(info.st_mtime)
    if keep_owners:
        member.uid, member.gid = info.st_uid, info.st_gid
    if kind == tarfile.SYMTYPE:
        member.linkname = os.readlink(path)
    elif kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        member.devmajor, member.devminor = os.major(info.st_rdev), os.minor(info.st_rdev)
    elif kind == tarfile.REGTYPE:
        first = seen.setdefault((info.st_dev, info.st_ino), name)
        if info.st_nlink > 1 and first != name:
            member.type, member.linkname = tarfile.LNKTYPE, first
        else:
            yield from _file(path, member)
            return
    yield member.tobuf(tarfile.PAX_FORMAT)
    if kind == tarfile.DIRTYPE:
        for base in sorted(os.listdir(path)):
            below = f"{path.rstrip('/')}/{base}"
            yield from _entry(
                below, f"{name}/{base}", keep_owners=keep_owners, follow=False, seen=seen
            )


def _file(path: str, member: tarfile.TarInfo) -> Iterator[bytes]:
    with open(path, "rb") as file:
        member.size = os.fstat(file.fileno()).st_size
        yield member.tobuf(tarfile.PAX_FORMAT)
        left = member.size
        while left:
            # The header has promised this many bytes: a file cut meanwhile ends in zeros.
            piece = file.read(min(_PIECE, left)) or bytes(min(_PIECE, left))
            left -= len(piece)
            yield piece
    yield bytes(-member.size % tarfile.BLOCKSIZE)
