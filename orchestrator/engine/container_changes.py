"""What a container has changed in its image's files, read from its overlay's upper directory."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator.images.layertar import is_opaque

Kind = Literal["C", "A", "D"]


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One path that was changed, added or deleted."""

    path: str
    kind: Kind


def changes(
    upper: Path, lowers: Sequence[Path], *, skip: Callable[[str], bool] = lambda _: False
) -> list[Change]:
    """Every change by path; `lowers` are the image's layers, the topmost first. Blocking.

    Nothing below a path that `skip` names is told. A directory counts as changed when something
    directly in it came or went, or its own mode, owner or time differ.
    Source: the kernel's filesystems/overlayfs, "whiteouts and opaque directories".
    """
    if not upper.is_dir():
        return []
    found = dict(_walk(upper, "", _Lowers(lowers), skip))
    for path in [p for p, kind in found.items() if kind in ("A", "D")]:
        above = path.rpartition("/")[0]
        if above:
            found.setdefault(above, "C")
    return sorted(Change(path, kind) for path, kind in found.items())


def _walk(
    directory: Path, inside: str, lowers: _Lowers, skip: Callable[[str], bool]
) -> Iterator[tuple[str, Kind]]:
    with os.scandir(directory) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        path = f"{inside}/{entry.name}"
        if skip(path):
            continue
        info = entry.stat(follow_symlinks=False)
        before = lowers.stat(path)
        if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
            if before is not None:
                yield path, "D"
            continue
        if before is None:
            yield path, "A"
        elif not stat.S_ISDIR(info.st_mode) or _differs(info, before, entry.path, path, skip):
            yield path, "C"
        if stat.S_ISDIR(info.st_mode):
            hidden = is_opaque(os.fsencode(entry.path))
            was_directory = before is not None and stat.S_ISDIR(before.st_mode)
            if hidden and was_directory:
                here = {name.name for name in os.scandir(entry.path)}
                for name in sorted(lowers.names(path) - here):
                    yield f"{path}/{name}", "D"
            below = lowers if was_directory else _Lowers(())
            yield from _walk(Path(entry.path), path, below, skip)


def _differs(
    now: os.stat_result,
    before: os.stat_result,
    directory: str,
    inside: str,
    skip: Callable[[str], bool],
) -> bool:
    if (now.st_mode, now.st_uid, now.st_gid) != (before.st_mode, before.st_uid, before.st_gid):
        return True
    if now.st_mtime_ns == before.st_mtime_ns:
        return False
    # A mount point that was made in it changes its time too, and is no change of the container's.
    names = [entry.name for entry in os.scandir(directory)]
    return not names or not all(skip(f"{inside}/{name}") for name in names)


class _Lowers:
    """The image's layers as the overlay shows them, looked up name by name."""

    def __init__(self, directories: Sequence[Path]) -> None:
        self._directories = directories

    def stat(self, path: str) -> os.stat_result | None:
        """What the layers have at the path, None for nothing."""
        for directory in self._seen(path.rpartition("/")[0]):
            try:
                info = os.lstat(f"{directory}{path}")
            except OSError:
                continue
            return None if _is_whiteout(info) else info
        return None

    def names(self, path: str) -> set[str]:
        """The names in that directory."""
        names: set[str] = set()
        gone: set[str] = set()
        for directory in self._seen(path):
            for entry in os.scandir(f"{directory}{path}"):
                if entry.name in names:
                    continue
                if _is_whiteout(entry.stat(follow_symlinks=False)):
                    gone.add(entry.name)
                elif entry.name not in gone:
                    names.add(entry.name)
        return names

    def _seen(self, path: str) -> Iterator[Path]:
        """The layers whose directory at `path` is part of what is seen there, topmost first."""
        parts = [part for part in path.split("/") if part]
        for directory in self._directories:
            here, hides = str(directory), False
            for part in parts:
                here = f"{here}/{part}"
                try:
                    info = os.lstat(here)
                except OSError:
                    break
                if not stat.S_ISDIR(info.st_mode):
                    return  # a file or a whiteout: nothing below is seen
                hides = hides or is_opaque(os.fsencode(here))
            else:
                yield directory
            if hides:
                return


def _is_whiteout(info: os.stat_result) -> bool:
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0
