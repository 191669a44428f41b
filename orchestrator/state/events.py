"""The history of events: appended, read back in order, bounded."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec

from orchestrator.model.events import Event

_KEPT = 100_000
_TRIM_EVERY = 1_000


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
        rows = self._connection.execute(
            "SELECT value FROM events WHERE time >= ? AND time <= ? ORDER BY seq", (since, until)
        )
        return (self._decode(row[0]) for row in rows)

    def about(self, text: str, since: float, until: float) -> Iterator[Event]:
        """The events of that time in which the text occurs, oldest first."""
        rows = self._connection.execute(
            "SELECT value FROM events WHERE time >= ? AND time <= ? AND instr(value, ?)"
            " ORDER BY seq",
            (since, until, text.encode()),
        )
        return (self._decode(row[0]) for row in rows)
