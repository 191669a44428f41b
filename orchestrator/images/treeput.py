"""A tar put into a live file tree that somebody else may be changing.

Paths are looked up as if the tree were the whole machine, link by link, and nothing is written
through a link that is the last part of a path. Blocking: callers use worker threads.
Source: openat2(2), RESOLVE_IN_ROOT.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from orchestrator.aio.libc import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2
from orchestrator.errors import Denied, Failed, InvalidInput, NotFound

_INSIDE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_CHUNK = 1 << 18
_XATTR = "SCHILY.xattr."


@dataclass(frozen=True, slots=True, kw_only=True)
class Putting:
    """Where a tar goes: the directory `directory` of the tree whose root is the descriptor `root`.

    `owner` are the uid and gid of everything, None for what the tar says. With
    `keep_kinds` a directory is never replaced by something else, nor the other way round.
    """

    root: int
    directory: str
    owner: tuple[int, int] | None = None
    keep_kinds: bool = False


def put(source: IO[bytes], putting: Putting) -> None:
    """Nothing, once everything in the tar (plain, gzip, bzip2 or xz) is there.

    Raises: NotFound: no such directory. InvalidInput: it is none, the tar is damaged, or a path in
    it leads out. Denied: the place is read-only. Failed: the file system refused.
    """
    times: list[tuple[list[str], float]] = []
    try:
        with tarfile.open(fileobj=source, mode="r|*", bufsize=_CHUNK) as tar:
            check_directory(putting.root, putting.directory)
            for member in tar:
                parts = _parts(member.name)
                if not parts:
                    continue  # the directory itself, which keeps its mode
                _put_one(tar, member, parts, putting)
                if member.isdir():
                    times.append((parts, member.mtime))
        for parts, mtime in reversed(times):
            _set_time(putting, parts, mtime)
    except tarfile.TarError as error:
        raise InvalidInput(
            f"not a tar archive: {error}",
            code="archive-invalid",
            about=putting.directory,
            hint="send a tar, plain or compressed",
        ) from error
    except OSError as error:
        raise _refused(error, putting.directory) from error


def check_directory(root: int, path: str) -> None:
    """Nothing, where `path` is a directory that can be written to.

    Raises: NotFound, InvalidInput, Denied.
    """
    try:
        fd = openat2(root, path.lstrip("/") or ".", _DIRECTORY, resolve=_INSIDE)
    except FileNotFoundError:
        raise NotFound(
            f"could not find the file {path} in the container",
            code="no-such-path",
            about=path,
            hint="make the directory first",
        ) from None
    except NotADirectoryError:
        raise InvalidInput(
            "extraction point is not a directory",
            code="not-a-directory",
            about=path,
            hint="name a directory of the container",
        ) from None
    try:
        if os.fstatvfs(fd).f_flag & os.ST_RDONLY:
            raise _read_only(path)
    finally:
        os.close(fd)


def _parts(name: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise InvalidInput(
            f"the archive's entry {name!r} leads out of the directory",
            code="archive-breakout",
            about=name,
            hint="make the archive again, without .. in its paths",
        )
    return parts


def _put_one(
    tar: tarfile.TarFile, member: tarfile.TarInfo, parts: list[str], putting: Putting
) -> None:
    base = parts[-1]
    with _parent(putting, parts[:-1]) as parent:
        if not _make_way(parent, base, member, putting):
            fd = os.open(base, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        elif member.isdir():
            os.mkdir(base, 0o700, dir_fd=parent)
            fd = os.open(base, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        elif member.isreg():
            fd = _write(tar, member, parent, base)
        else:
            _make(member, parent, base, putting)
            return
        try:
            _finish(fd, member, putting)
        finally:
            os.close(fd)


def _make_way(parent: int, base: str, member: tarfile.TarInfo, putting: Putting) -> bool:
    """Whether `base` is to be made: False where it is a directory already, and is to be one."""
    try:
        mode = os.stat(base, dir_fd=parent, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return True
    is_directory = stat.S_ISDIR(mode)
    if is_directory and member.isdir():
        return False
    if putting.keep_kinds and is_directory != member.isdir():
        one, other = ("directory", "non-directory")
        if member.isdir():
            one, other = other, one
        raise InvalidInput(
            f"cannot overwrite {one} {base!r} with {other} {member.name!r}",
            code="kind-differs",
            about=base,
            hint="remove it first",
        )
    if is_directory:
        shutil.rmtree(base, dir_fd=parent)
    else:
        os.unlink(base, dir_fd=parent)
    return True


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, parent: int, base: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(base, flags, 0o600, dir_fd=parent)
    try:
        content = tar.extractfile(member)
        assert content is not None
        while piece := content.read(_CHUNK):
            view = memoryview(piece)
            while view:
                view = view[os.write(fd, view) :]
    except BaseException:
        os.close(fd)
        raise
    return fd


def _make(member: tarfile.TarInfo, parent: int, base: str, putting: Putting) -> None:
    """A link, a device or a fifo: what has no descriptor of its own."""
    if member.islnk():
        target = _parts(member.linkname)
        with _parent(putting, target[:-1]) as source:
            os.link(target[-1], base, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        return
    if member.issym():
        os.symlink(member.linkname, base, dir_fd=parent)
    elif member.isfifo():
        os.mkfifo(base, 0o600, dir_fd=parent)
    elif member.ischr() or member.isblk():
        kind = stat.S_IFCHR if member.ischr() else stat.S_IFBLK
        device = os.makedev(member.devmajor, member.devminor)
        os.mknod(base, 0o600 | kind, device, dir_fd=parent)
    else:
        return
    owner = putting.owner or (member.uid, member.gid)
    os.chown(base, *owner, dir_fd=parent, follow_symlinks=False)
    if not member.issym():
        # By a descriptor that follows nothing: there is no fchmodat without following.
        fd = os.open(base, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            os.chmod(f"/proc/self/fd/{fd}", member.mode & 0o7777)  # noqa: PTH101
        finally:
            os.close(fd)
    times = (member.mtime, member.mtime)
    os.utime(base, times, dir_fd=parent, follow_symlinks=False)


def _finish(fd: int, member: tarfile.TarInfo, putting: Putting) -> None:
    os.fchown(fd, *(putting.owner or (member.uid, member.gid)))
    os.fchmod(fd, member.mode & 0o7777)
    for key, value in member.pax_headers.items():
        if key.startswith((f"{_XATTR}user.", f"{_XATTR}security.capability")):
            with suppress(OSError):  # not every file system has them
                os.setxattr(fd, key.removeprefix(_XATTR), value.encode("utf-8", "surrogateescape"))
    os.utime(fd, (member.mtime, member.mtime))


@contextmanager
def _parent(putting: Putting, parts: list[str]) -> Iterator[int]:
    """The directory of an entry; what is missing of it is made, as root's."""
    path = putting.directory.strip("/")
    where = [path, *parts] if path else parts
    inside = "/".join(where) or "."
    try:
        fd = openat2(putting.root, inside, _DIRECTORY, resolve=_INSIDE)
    except FileNotFoundError:
        if not parts:
            raise
        with _parent(putting, parts[:-1]) as above, suppress(FileExistsError):
            os.mkdir(parts[-1], 0o755, dir_fd=above)
        fd = openat2(putting.root, inside, _DIRECTORY, resolve=_INSIDE)
    try:
        yield fd
    finally:
        os.close(fd)


def _set_time(putting: Putting, parts: list[str], mtime: float) -> None:
    with suppress(OSError), _parent(putting, parts) as fd:
        os.utime(fd, (mtime, mtime))


def _refused(error: OSError, path: str) -> Exception:
    if error.errno == errno.EROFS:
        return _read_only(path)
    return Failed(
        f"writing below {path}: {error.strerror}",
        code="copy-failed",
        about=str(error.filename or path),
        hint="see that the disk has room, and that nothing is mounted at the place",
    )


def _read_only(path: str) -> Denied:
    return Denied(
        f"{path} is read-only in the container",
        code="read-only",
        about=path,
        hint="copy into a volume or directory of it that can be written",
    )
