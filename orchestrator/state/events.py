"""The history of events: appended, read back in order, bounded."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import chain

import msgspec

from orchestrator.model.events import Event

_KEPT = 100_000
_TRIM_EVERY = 1_000
# Read in some milliseconds.
_PAGE = 500


class EventLog:
    """Events on disk, the oldest dropped beyond the last 100,000."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(Event).decode
        connection.execute(
            "CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, time REAL, value BLOB)"
        )
        connection.execute("CREATE INDEX IF NOT EXISTS events_time ON events (time)")

    def append(self, event: Event) -> None:
        """Nothing, once the event is stored."""
        cursor = self._connection.execute(
            "INSERT INTO events (time, value) VALUES (?, ?)", (event.time, self._encode(event))
        )
        seq = cursor.lastrowid or 0
        if seq % _TRIM_EVERY == 0:
            self._connection.execute("DELETE FROM events WHERE seq <= ?", (seq - _KEPT,))

    def between(self, since: float, until: float) -> Iterator[Event]:
        """The events from since to until (Unix seconds, both included), oldest first."""
        return chain.from_iterable(self.pages(since, until))

    def pages(self, since: float, until: float, text: str = "") -> Iterator[list[Event]]:
        """The events of that time in which the text occurs, oldest first: those that there are
        now, piece by piece, so that others may go on in between. A piece may be empty."""
        # Their order is that in which they happened, which the clock may have been set back in.
        first, last = self._connection.execute(
            "SELECT min(seq), max(seq) FROM events WHERE time BETWEEN ? AND ?", (since, until)
        ).fetchone()
        return self._pages(first or 0, last or -1, (since, until, text.encode()))

    def _pages(
        self, first: int, last: int, wanted: tuple[float, float, bytes]
    ) -> Iterator[list[Event]]:
        for begin in range(first, last + 1, _PAGE):
            rows = self._connection.execute(
                # Not by the index of times (hence the +), which would go through all of them.
                "SELECT value FROM events WHERE seq BETWEEN ? AND ?"
                " AND +time BETWEEN ? AND ? AND instr(value, ?) ORDER BY seq",
                (begin, min(last, begin + _PAGE - 1), *wanted),
            ).fetchall()
            yield [self._decode(row[0]) for row in rows]
