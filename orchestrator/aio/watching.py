"""Waiting for files to change, by one inotify for everything that an event loop watches.

One, because a user may have 128 of them (fs.inotify.max_user_instances), and because closing one
that has watches holds the caller up until the kernel's readers have moved on (15 ms and more on
the event loop, measured), while a watch goes for nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
from anyio.lowlevel import RunVar
from asyncinotify import Inotify, Mask, Watch


class Bell:
    """Rings when something has changed; what rang while nobody waited is not lost."""

    def __init__(self) -> None:
        self._rung = anyio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def wait(self) -> None:
        """Return when it has rung since the last wait."""
        await self._rung.wait()
        self._rung = anyio.Event()


@contextmanager
def watched(path: Path, mask: Mask) -> Iterator[Bell]:
    """A bell that rings for every change of the file or directory that `mask` names, and when it
    is gone, while the block lasts. With `Mask.ONESHOT` it rings once.

    A path is watched with ONESHOT by one at a time, and by nobody else then.
    Raises: OSError: there is no such path, or the user has no watches left.
    Source: inotify(7).
    """
    watches = _of_this_loop()
    bell = Bell()
    watch = watches.add(path, mask, bell)
    try:
        yield bell
    finally:
        watches.remove(watch, bell)


class _Watches:
    """The watches of one event loop, which is told of what happens by its selector."""

    def __init__(self) -> None:
        self._inotify = Inotify(sync_timeout=0)
        self._bells: dict[int, list[tuple[Mask, Bell]]] = {}
        asyncio.get_running_loop().add_reader(self._inotify.fd, self._read)

    def add(self, path: Path, mask: Mask, bell: Bell) -> Watch:
        # Whoever watches the same path already goes on to be told of what he asked for.
        watch = self._inotify.add_watch(path, mask | Mask.MASK_ADD)
        self._bells.setdefault(watch.wd, []).append((mask, bell))
        return watch

    def remove(self, watch: Watch, bell: Bell) -> None:
        bells = self._bells.get(watch.wd, [])
        left = [each for each in bells if each[1] is not bell]
        if left:
            self._bells[watch.wd] = left
        elif bells:
            del self._bells[watch.wd]
            with suppress(OSError):  # it rang its once, or the path is gone
                self._inotify.rm_watch(watch)

    def _read(self) -> None:
        for event in self._inotify:
            if Mask.Q_OVERFLOW in event.mask:
                for bells in self._bells.values():
                    _ring(bells)
            elif event.watch is None:
                continue
            elif Mask.IGNORED in event.mask:
                _ring(self._bells.pop(event.watch.wd, []))
            else:
                bells = self._bells.get(event.watch.wd, [])
                _ring([each for each in bells if event.mask & each[0]])


def _ring(bells: list[tuple[Mask, Bell]]) -> None:
    for _, bell in bells:
        bell.ring()


_WATCHES: RunVar[_Watches] = RunVar("watches of files")


def _of_this_loop() -> _Watches:
    try:
        return _WATCHES.get()
    except LookupError:
        _WATCHES.set(watches := _Watches())
        return watches
