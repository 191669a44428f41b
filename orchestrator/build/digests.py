"""Digests of a context's files, kept from build to build, so that what did not change is not read
again. A file is taken as unchanged while its inode, size, and both times are what they were;
ctime(2) moves with every write and cannot be set back. Blocking.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from orchestrator.build.tree import Entry

_Stamp = tuple[int, int, int, int, int]
# A file written in the same tick of the kernel's clock as it was read could change unseen.
_TICK_NS = 50_000_000
_KEPT_CONTEXTS = 64


class _File(msgspec.Struct, array_like=True):
    root: str
    files: dict[str, tuple[_Stamp, str]]


class FileDigests:
    """The known digests of the files below one directory."""

    def __init__(self, place: Path, root: Path) -> None:
        name = hashlib.sha256(os.fsencode(root)).hexdigest()[:32]
        self._path = place / name
        self._root = str(root)
        self._before = self._load()
        self._now: dict[str, tuple[_Stamp, str]] = {}
        self._fresh = 0

    def find(self, entry: Entry) -> str | None:
        known = self._before.get(entry.path)
        if known is None or known[0] != _stamp(entry):
            return None
        self._now[entry.path] = known
        return known[1]

    def remember(self, entry: Entry, digest: str) -> None:
        if time.time_ns() - entry.info.st_ctime_ns > _TICK_NS:
            self._now[entry.path] = (_stamp(entry), digest)
            self._fresh += 1

    def save(self) -> None:
        """Nothing, once what was learned is on disk; a disk that refuses is no error."""
        if not self._fresh:
            return
        with suppress(OSError, UnicodeEncodeError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            half = self._path.with_suffix(".half")
            files = {**self._before, **self._now}
            half.write_bytes(msgspec.msgpack.encode(_File(self._root, files)))
            half.rename(self._path)
            _forget_oldest(self._path.parent)

    def _load(self) -> dict[str, tuple[_Stamp, str]]:
        try:
            file = msgspec.msgpack.decode(self._path.read_bytes(), type=_File)
        except (OSError, msgspec.DecodeError, msgspec.ValidationError):
            return {}
        return file.files if file.root == self._root else {}


def _stamp(entry: Entry) -> _Stamp:
    info = entry.info
    return (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)


def _forget_oldest(place: Path) -> None:
    files = sorted(place.iterdir(), key=lambda path: path.stat().st_mtime)
    for path in files[:-_KEPT_CONTEXTS]:
        path.unlink(missing_ok=True)
