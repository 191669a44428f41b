"""A tar that comes piece by piece, put into a local directory and nowhere else."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any

from orchestrator.errors import Failed, InvalidInput

_PIECE = 1 << 18


class Untar:
    """Entries land in `directory`, the first part of their paths renamed to `name` ("" as it is).

    Owners are whoever runs this unless they are kept, which takes root.
    """

    def __init__(self, directory: str, name: str, *, keep_owners: bool) -> None:
        self._directory = directory
        self._name = name
        self._keep_owners = keep_owners and os.geteuid() == 0
        self._times: list[tuple[str, float, int]] = []

    def run(self, source: IO[bytes]) -> int:
        """The bytes of the files written.  Raises: InvalidInput, Failed; OSError."""
        size = 0
        try:
            with tarfile.open(fileobj=source, mode="r|", bufsize=_PIECE) as tar:
                for member in tar:
                    self._put(tar, member)
                    size += member.size
        except tarfile.TarError as error:
            raise Failed(
                f"the engine's answer is not a tar archive: {error}",
                code="archive-invalid",
                hint="try again",
            ) from error
        # Last, because writing into a directory changes its time, and needs its mode.
        for path, mtime, mode in reversed(self._times):
            os.chmod(path, mode)
            os.utime(path, (mtime, mtime))
        return size

    def _path(self, name: str) -> str:
        parts = [part for part in name.split("/") if part]
        if self._name:
            parts[0:1] = [self._name]
        parts = [part for part in parts if part != "."]
        if ".." in parts:
            raise InvalidInput(
                f"the archive's entry {name!r} leads out of the directory",
                code="archive-breakout",
                about=name,
                hint="do not trust this container",
            )
        path = self._directory
        for part in parts[:-1]:
            path = os.path.join(path, part)
            if os.path.islink(path):
                raise InvalidInput(
                    f"the archive's entry {name!r} leads through a link",
                    code="archive-breakout",
                    about=name,
                    hint="do not trust this container",
                )
        return os.path.join(path, parts[-1]) if parts else path

    def _put(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = self._path(member.name)
        if not self._make_way(path, member):
            self._times.append((path, member.mtime, member.mode & 0o7777))
            return
        mode = member.mode & 0o7777
        if member.isdir():
            os.mkdir(path, 0o700)
            self._times.append((path, member.mtime, mode))
        elif member.isreg():
            content = tar.extractfile(member)
            assert content is not None
            with open(path, "xb") as file:
                shutil.copyfileobj(content, file, _PIECE)
                os.fchmod(file.fileno(), mode)
        elif member.issym():
            os.symlink(member.linkname, path)
        elif member.islnk():
            os.link(self._path(member.linkname), path, follow_symlinks=False)
            return
        elif member.isfifo():
            os.mkfifo(path, mode)
        elif member.ischr() or member.isblk():
            kind = stat.S_IFCHR if member.ischr() else stat.S_IFBLK
            os.mknod(path, mode | kind, os.makedev(member.devmajor, member.devminor))
        else:
            return
        if self._keep_owners:
            os.chown(path, member.uid, member.gid, follow_symlinks=False)
        if not member.isdir():
            os.utime(path, (member.mtime, member.mtime), follow_symlinks=False)

    def _make_way(self, path: str, member: tarfile.TarInfo) -> bool:
        """Whether the entry is to be made: False where it is a directory that is there."""
        if not os.path.lexists(path):
            return True
        is_directory = os.path.isdir(path) and not os.path.islink(path)
        if is_directory and member.isdir():
            return False
        if is_directory or (member.isdir() and not os.path.islink(path)):
            one, other = ("directory", "non-directory") if is_directory else ("file", "directory")
            raise InvalidInput(
                f"cannot overwrite {one} {path!r} with {other} {member.name!r}",
                code="kind-differs",
                about=path,
                hint="remove it first",
            )
        os.unlink(path)
        return True


def reader(pieces: Iterator[bytes]) -> IO[bytes]:
    """Pieces as a file."""
    return io.BufferedReader(_Pieces(pieces), _PIECE)


class _Pieces(io.RawIOBase):
    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            with suppress(StopIteration):
                self._left = next(self._pieces)
        data, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)
