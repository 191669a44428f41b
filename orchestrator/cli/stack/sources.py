"""Waiting for files to change, with inotify."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from asyncinotify import Event, Inotify, Mask

# Editors write a file more than once, and write others beside it: what comes within this time of
# the last change is one change.
_QUIET_S = 0.3
_LOOK_S = 0.2
_CHANGES = (
    Mask.CLOSE_WRITE | Mask.CREATE | Mask.DELETE | Mask.MOVED_FROM | Mask.MOVED_TO | Mask.ATTRIB
)


def changes(
    roots: Callable[[], Iterable[Path]], stop: threading.Event, *, below: bool
) -> Iterator[set[Path]]:
    """The paths that changed, together where they change together, until `stop` is set.

    `roots` are files, whose directories are watched, or with `below` directories and all that is
    below them; they are asked for again after each change. What changes while the last change is
    looked at is told next.
    Source: inotify(7).
    """
    inotify = _watching(roots(), below=below)
    try:
        while not stop.is_set():
            if found := _next(inotify, stop):
                yield found
            # The new watches first: between the two nothing may go by unseen.
            following = _watching(roots(), below=below)
            missed = _pending(inotify)
            inotify.close()
            inotify = following
            if missed:
                yield missed
    finally:
        inotify.close()


def _watching(roots: Iterable[Path], *, below: bool) -> Inotify:
    inotify = Inotify()
    for directory in _directories(roots, below=below):
        # One that is gone by now was told of by its parent.
        with suppress(OSError):
            inotify.add_watch(directory, _CHANGES)
    return inotify


def _directories(roots: Iterable[Path], *, below: bool) -> set[Path]:
    found: set[Path] = set()
    for root in roots:
        if not below or root.is_file():
            found.add(root.parent)
        elif root.is_dir():
            found.add(root)
            found.update(Path(at, name) for at, names, _ in os.walk(root) for name in names)
    return {directory for directory in found if directory.is_dir()}


def _next(inotify: Inotify, stop: threading.Event) -> set[Path]:
    """The paths of the next change, and of those that follow it closely; none once it is over."""
    found: set[Path] = set()
    while not stop.is_set():
        inotify.sync_timeout = _QUIET_S if found else _LOOK_S
        event = inotify.sync_get()
        if event is None:
            if found:
                return found
        else:
            found |= _paths(event)
    return set()


def _pending(inotify: Inotify) -> set[Path]:
    """The paths of the changes that nobody has asked for yet."""
    found: set[Path] = set()
    inotify.sync_timeout = 0.001
    while (event := inotify.sync_get()) is not None:
        found |= _paths(event)
    return found


def _paths(event: Event) -> set[Path]:
    """The path that changed; of a directory that is new, all that is in it already."""
    if event.path is None:
        return set()
    if event.mask & Mask.ISDIR and event.mask & (Mask.CREATE | Mask.MOVED_TO):
        return {event.path, *event.path.rglob("*")}
    return {event.path}
