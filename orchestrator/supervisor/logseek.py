"""Where to begin reading a log: found from its end, or by halving, without reading all of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from orchestrator.supervisor.logline import LONGEST_LINE, parse_record

_BLOCK = 1 << 16
# How many records may lie between the pieces of one line, where another stream writes as well.
_PIECES = 200


@dataclass(frozen=True, slots=True)
class Position:
    """A record's beginning; the first `surplus` lines from there on are not wanted."""

    file: Path
    offset: int
    surplus: int = 0


def files_of(path: Path) -> list[Path]:
    """The log's files that there are, oldest first."""
    rotated = []
    for found in path.parent.glob(f"{path.name}.*"):
        number = found.name.removeprefix(f"{path.name}.")
        if number.isdigit():
            rotated.append((int(number), found))
    files = [file for _, file in sorted(rotated, reverse=True)]
    return [*files, path] if path.exists() else files


def first_time(file: Path) -> int:
    """The time of a log file's first record in nanoseconds, 0 when it has none."""
    try:
        with file.open("rb") as log:
            parsed = parse_record(log.readline(LONGEST_LINE).rstrip(b"\n"))
    except FileNotFoundError:
        return 0
    return parsed.time_ns if parsed is not None else 0


def start_position(path: Path, lines: int | None, since: float) -> Position | None:
    """Where the last `lines` lines (None means all) that are not older than `since` begin.

    None when there is no log. Takes as long as the lines are, not as the log is. Blocking.
    """
    files = files_of(path)
    if not files:
        return None
    first = _since(files, since) if since else Position(files[0], 0)
    if lines is None:
        return first
    last = _last(files, lines)
    order = {file: number for number, file in enumerate(files)}
    begun_later = (order[first.file], first.offset) > (order[last.file], last.offset)
    # Lines before `since` are the caller's to drop; they must not count as surplus then.
    return Position(first.file, first.offset) if begun_later else last


def _last(files: list[Path], lines: int) -> Position:
    """Where the last `lines` lines begin: records are counted backwards, each F one line."""
    position = Position(files[-1], files[-1].stat().st_size)
    wanted, surplus, more = 0, 0, 0
    # Per stream: whether the line before its first wanted one was met. Until then, records that
    # come earlier may be pieces of a wanted line.
    complete: dict[bytes, bool] = {}
    for file, offset, record in _backwards(files if lines > 0 else []):
        parts = record.split(b" ", 3)
        if len(parts) < 4:
            continue
        stream, ends = parts[1], parts[2].startswith(b"F")
        if wanted < lines:
            wanted += ends or stream not in complete
            complete[stream] = False
        else:
            more += 1
            complete |= {stream: True} if ends and stream in complete else {}
            if more > _PIECES or all(complete.values()):
                break
            surplus += ends
        position = Position(file, offset, surplus)
    return position


def _backwards(files: list[Path]) -> Iterator[tuple[Path, int, bytes]]:
    """Every record with its place, the newest first."""
    for file in reversed(files):
        with file.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            tail = b""
            while end > 0:
                begin = max(0, end - _BLOCK)
                log.seek(begin)
                data = log.read(end - begin) + tail
                # Up to its first newline, a block holds the end of a record begun before it.
                cut = data.find(b"\n") + 1 if begin else 0
                if begin and cut in (0, len(data)):
                    if len(data) > LONGEST_LINE:
                        return  # no log: conmon's records are short
                    tail, end = data, begin
                    continue
                tail, records = data[:cut], data[cut:].split(b"\n")
                place = begin + len(data) - len(records.pop())
                for record in reversed(records):
                    place -= len(record) + 1
                    yield file, place, record
                end = begin


def _since(files: list[Path], since: float) -> Position:
    """Where to begin so that no record of `since` or later is missed: found by halving."""
    for file in reversed(files):
        with file.open("rb") as log:
            first = _next_record(log, 0)
            if first is not None and first[1] < since:
                return Position(file, _halved(log, since))
    return Position(files[0], 0)


def _halved(log: BinaryIO, since: float) -> int:
    low, high = 0, log.seek(0, os.SEEK_END)
    while high - low > _BLOCK:
        middle = (low + high) // 2
        found = _next_record(log, middle)
        if found is not None and found[1] < since and low < found[0] < high:
            low = found[0]
        else:
            high = middle
    return low


def _next_record(log: BinaryIO, offset: int) -> tuple[int, float] | None:
    """The place and time of the first record that begins at `offset` or later."""
    log.seek(offset)
    if offset:
        log.readline()
    place = log.tell()
    parsed = parse_record(log.readline().rstrip(b"\n"))
    return (place, parsed.time) if parsed is not None else None
