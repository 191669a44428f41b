"""Lines of a container's log, from the records that conmon writes. Pure.

A record is `TIME STREAM TAG TEXT`; the tag P says that its line goes on in a later record of the
same stream, F that it ends here.  Source: the CRI log format, conmon's `k8s-file`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

# A line longer than this comes in pieces, or a program that never ends one would fill the memory.
LONGEST_LINE = 1 << 20


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line without its newline; `partial` when it does not end here. `time_ns` is Unix time."""

    time_ns: int
    stream: str
    text: bytes
    partial: bool = False

    @property
    def time(self) -> float:
        """Unix seconds; too coarse to tell neighbouring lines apart."""
        return self.time_ns / 1e9


def parse_record(record: bytes) -> LogLine | None:
    """The record as a line (partial when its tag is P); None when it is not one."""
    parts = record.split(b" ", 3)
    if len(parts) != 4 or parts[1] not in (b"stdout", b"stderr"):
        return None
    time_ns = parse_time(parts[0])
    if time_ns is None:
        return None
    return LogLine(time_ns, parts[1].decode(), parts[3], partial=not parts[2].startswith(b"F"))


def parse_time(stamp: bytes) -> int | None:
    """Nanoseconds since 1970 of an RFC 3339 time."""
    body, fraction = stamp[:19], b""
    zone = stamp[19:]
    if zone[:1] == b".":
        end = 1
        while end < len(zone) and zone[end : end + 1].isdigit():
            end += 1
        fraction, zone = zone[1:end], zone[end:]
    seconds = _seconds(body + zone)
    if seconds is None:
        return None
    return seconds * 1_000_000_000 + int(fraction[:9].ljust(9, b"0") or b"0")


@lru_cache(maxsize=256)
def _seconds(stamp: bytes) -> int | None:
    # Cached, because busy logs have thousands of lines in one second.
    try:
        moment = datetime.fromisoformat(stamp.decode("ascii"))
    except ValueError:
        return None
    return int(moment.timestamp()) if moment.tzinfo is not None else None


class Joiner:
    """Makes whole lines of partial ones; each stream has at most one unfinished line."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[int, bytearray]] = {}

    def take(self, record: LogLine) -> LogLine | None:
        """The line that `record` completes; one of its pieces when the line is very long."""
        begun = self._open.get(record.stream)
        if begun is None:
            if not record.partial:
                return record
            self._open[record.stream] = (record.time_ns, bytearray(record.text))
            return None
        time_ns, text = begun
        text += record.text
        if record.partial and len(text) < LONGEST_LINE:
            return None
        del self._open[record.stream]
        return LogLine(time_ns, record.stream, bytes(text), record.partial)

    def rest(self) -> Iterator[LogLine]:
        """What has not ended: the last, unfinished line of each stream."""
        for stream, (time_ns, text) in sorted(self._open.items()):
            yield LogLine(time_ns, stream, bytes(text), partial=True)
        self._open.clear()
