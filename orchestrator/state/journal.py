"""The state's write-ahead log, kept short beside the writes and not by one of them.

SQLite would have the write that fills the log wait until all of it is on the disk, which takes as
long as the disk is busy, on the event loop.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

# SQLite's own measure, 4 MiB; what cannot be emptied is so at the latest when it is so long.
_PAGE_BYTES = 4096
_MOST_PAGES = 1000
_TOO_LONG_BYTES = 64 << 20
# What a write of any size changes besides its own pages.
_AROUND = 3


class Journal(sqlite3.Connection):
    """A connection that knows how much it has written."""

    _pages = 0
    _full: Callable[[], None] | None = None

    def on_full(self, full: Callable[[], None]) -> None:
        """Nothing; from now on `full` is called when the log should be emptied (`empty_log`), and
        no write waits for that. It must not wait either."""
        self.execute("PRAGMA wal_autocheckpoint = 0")
        self._full = full

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        cursor = super().execute(sql, parameters)
        if self._full is not None and not sql.startswith("SELECT"):
            written = sum(len(p) for p in parameters if isinstance(p, bytes))
            self._pages += _AROUND + written // _PAGE_BYTES
            if self._pages >= _MOST_PAGES:
                self._pages = 0
                self._full()
        return cursor


def empty_log(path: Path) -> None:
    """Nothing, once what the log held is in the database at path, and on the disk (blocking).

    Writes go on meanwhile, but where they have kept the log from ever being empty.
    Source: SQLite's "PRAGMA wal_checkpoint".
    """
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        if path.with_name(f"{path.name}-wal").stat().st_size > _TOO_LONG_BYTES:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
