"""Mount points that the runtime makes in a root, taken away again after a RUN.

Without this every RUN on a bare image would add an empty /proc, /etc/hosts and so on to its layer.
Blocking.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.aio.rooted import real_path


@dataclass(frozen=True, slots=True)
class Stubs:
    """What was not there before: paths in the root, deepest first; and the directories above
    them that were, with mode and owner."""

    missing: tuple[str, ...]
    present: tuple[tuple[str, tuple[int, int, int]], ...]


def note_stubs(root: Path, targets: Iterable[str]) -> Stubs:
    """Which of the targets, and of the directories above them, root does not have."""
    missing: set[str] = set()
    present: dict[str, tuple[int, int, int]] = {}
    for target in targets:
        above = root
        for part in [part for part in target.split("/") if part]:
            path = _followed(root, above / part)
            inside = "/" + str(path.relative_to(root))
            if not os.path.lexists(path):
                missing.add(inside)
            elif path.is_dir():
                present[inside] = _attributes(path)
            above = path
    deepest_first = sorted(missing, key=lambda path: path.count("/"), reverse=True)
    known = sorted(present.items(), key=lambda item: item[0].count("/"), reverse=True)
    return Stubs(tuple(deepest_first), tuple(known))


def remove_stubs(upper: Path, stubs: Stubs) -> None:
    """Nothing, once upper (of an unmounted overlay) has no stub that stayed empty.

    A directory that was there before and holds no change any more is taken out as well.
    """
    for inside in stubs.missing:
        path = upper / inside.lstrip("/")
        with suppress(OSError):
            info = path.lstat()
            if stat.S_ISDIR(info.st_mode):
                path.rmdir()
            elif stat.S_ISREG(info.st_mode) and info.st_size == 0:
                path.unlink()
    for inside, attributes in stubs.present:
        path = upper / inside.lstrip("/")
        with suppress(OSError):
            if _attributes(path) == attributes and not _is_opaque(path):
                path.rmdir()


def _followed(root: Path, path: Path) -> Path:
    with suppress(OSError):
        return real_path(root, "/" + str(path.relative_to(root)))
    return path


def _attributes(path: Path) -> tuple[int, int, int]:
    info = path.lstat()
    return info.st_mode, info.st_uid, info.st_gid


def _is_opaque(path: Path) -> bool:
    return "trusted.overlay.opaque" in os.listxattr(path, follow_symlinks=False)
