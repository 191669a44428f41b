"""Reading a container's log: its end at once however long it is, and what follows as it comes.

The log is `path` and, older, `path.1`, `path.2`, …; conmon writes it, with or without an engine.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.lowlevel
from anyio import to_thread
from asyncinotify import Mask

from orchestrator.aio.watching import Bell, watched
from orchestrator.supervisor.logline import Joiner, LogLine, parse_record
from orchestrator.supervisor.logseek import Position, files_of, first_time, start_position

_CHUNK = 1 << 17
_WATCHED = Mask.MODIFY | Mask.CREATE | Mask.MOVED_TO | Mask.DELETE_SELF | Mask.MOVE_SELF


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which lines: the last `lines` of them (None means all), from `since` until `until`
    (Unix seconds, 0 means no bound)."""

    lines: int | None = None
    since: float = 0.0
    until: float = 0.0

    def after(self, line: LogLine) -> bool:
        return bool(self.until) and line.time > self.until

    def before(self, line: LogLine) -> bool:
        return line.time < self.since


def read_tail(
    path: Path, lines: int | None = None, since: float = 0.0, until: float = 0.0
) -> Iterator[LogLine]:
    """The log's lines as it is now, oldest first; see `Wanted`. Blocking.

    A last line that has not ended comes with `partial`. No log at all has no lines.
    """
    wanted = Wanted(lines=lines, since=since, until=until)
    position = start_position(path, lines, since)
    if position is None:
        return
    reader = _Reader(path, position)
    try:
        found = _within(_all(reader), wanted)
        yield from found if position.surplus == 0 else _without(found, position.surplus)
    finally:
        reader.close()


async def follow(
    path: Path,
    *,
    lines: int | None = None,
    since: float = 0.0,
    until: float = 0.0,
    stop: anyio.Event | None = None,
) -> AsyncGenerator[LogLine]:
    """The log's lines, then new ones as they are written, until `stop` is set.

    What was written before `stop` is still told; with `stop` set from the beginning this reads the
    log as it is. Goes on over rotation, and over a log that is made again or not there yet.
    """
    stop = stop or anyio.Event()
    wanted = Wanted(lines=lines, since=since, until=until)
    # Watched before the first look, so nothing written in between is missed.
    with watched(path.parent, _WATCHED) as bell:
        position = await to_thread.run_sync(start_position, path, lines, since)
        reader = _Reader(path, position)
        surplus = position.surplus if position else 0
        try:
            while True:
                last = stop.is_set()
                for line in reader.lines(final=last):
                    if wanted.after(line):
                        return
                    if wanted.before(line):
                        continue
                    if surplus:
                        surplus -= 1
                        continue
                    yield line
                if reader.more:
                    await anyio.lowlevel.checkpoint()
                elif last:
                    return
                else:
                    await _change(bell, stop)
        finally:
            reader.close()


async def _change(bell: Bell, stop: anyio.Event) -> None:
    """Return when the log's directory changed, or `stop` is set."""

    async def stopped() -> None:
        await stop.wait()
        either.cancel_scope.cancel()

    async with anyio.create_task_group() as either:
        either.start_soon(stopped)
        await bell.wait()
        either.cancel_scope.cancel()


class _Reader:
    """Reads on from a position, from file to newer file."""

    def __init__(self, path: Path, position: Position | None) -> None:
        self._path = path
        self._joiner = Joiner()
        self._rest = b""
        self._fd = -1
        self._told = 0
        self.more = True
        if position is not None:
            self._open(position.file, position.offset)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def lines(self, *, final: bool = False) -> Iterator[LogLine]:
        """The whole lines in the next piece of the log; `more` tells whether to ask again.

        With `final`, the end of the log ends an unfinished line.
        """
        data = self._next()
        self.more = bool(data)
        records = (self._rest + data).split(b"\n")
        self._rest = records.pop()
        for record in records:
            parsed = parse_record(record)
            if parsed is None:
                continue
            self._told = parsed.time_ns
            if (line := self._joiner.take(parsed)) is not None:
                yield line
        if final and not self.more:
            yield from self._joiner.rest()

    def _next(self) -> bytes:
        if self._fd < 0 and not self._newer():
            return b""
        while True:
            # Looked at before reading: once a newer file is there, conmon has left this one.
            newer = self._newer_file()
            data = os.read(self._fd, _CHUNK)
            if data:
                return data
            if newer is None:
                self._rewind_if_cut()
                return os.read(self._fd, _CHUNK)
            self._open(newer, 0)

    def _newer(self) -> bool:
        file = self._newer_file()
        return file is not None and self._open(file, 0)

    def _newer_file(self) -> Path | None:
        if self._fd < 0:
            files = files_of(self._path)
            return files[0] if files else None
        mine = os.fstat(self._fd)
        try:
            if os.path.samestat(mine, self._path.stat()):
                return None
        except FileNotFoundError:
            return None
        # Several may have come since: the one after mine or, when mine is gone, the oldest one with
        # nothing that was told already.
        files = files_of(self._path)
        for place, file in enumerate(files[:-1]):
            try:
                if os.path.samestat(mine, file.stat()):
                    return files[place + 1]
            except FileNotFoundError:
                continue
        unknown = [f for f in files if first_time(f) >= self._told]
        return unknown[0] if unknown else None

    def _open(self, file: Path, offset: int) -> bool:
        try:
            fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        self.close()
        self._fd = fd
        self._rest = b""
        os.lseek(fd, offset, os.SEEK_SET)
        return True

    def _rewind_if_cut(self) -> None:
        if os.fstat(self._fd).st_size < os.lseek(self._fd, 0, os.SEEK_CUR):
            os.lseek(self._fd, 0, os.SEEK_SET)
            self._rest = b""


def _all(reader: _Reader) -> Iterator[LogLine]:
    while reader.more:
        yield from reader.lines(final=True)


def _within(lines: Iterator[LogLine], wanted: Wanted) -> Iterator[LogLine]:
    for line in lines:
        if wanted.after(line):
            return
        if not wanted.before(line):
            yield line


def _without(lines: Iterator[LogLine], surplus: int) -> Iterator[LogLine]:
    for number, line in enumerate(lines):
        if number >= surplus:
            yield line
