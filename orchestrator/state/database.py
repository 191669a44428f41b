"""The engine's state: one SQLite file, opened by the engine alone.

Every write is one transaction in WAL mode with synchronous=NORMAL: it survives a kill at any
instruction, and a power cut costs at most the last writes, which the engine's start-up then finds
to differ from the machine and mends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from orchestrator.errors import Failed
from orchestrator.model.image import Image
from orchestrator.model.observed import Container, Network, Volume
from orchestrator.state import labels
from orchestrator.state.buildcache import CachedStep
from orchestrator.state.events import EventLog
from orchestrator.state.grants import Kept
from orchestrator.state.journal import Journal, empty_log
from orchestrator.state.records import Records
from orchestrator.state.revisions import Revision
from orchestrator.state.stacks import StackRecord

_VERSION = 1


class Database:
    """Every record the engine keeps."""

    def __init__(self, connection: Journal, path: Path) -> None:
        self._connection = connection
        self._path = path
        self.containers = Records(
            connection,
            "containers",
            Container,
            lambda c: c.name,
            lambda c: c.spec.labels.get(labels.PROJECT, ""),
        )
        self.networks = Records(connection, "networks", Network, lambda n: n.name)
        self.volumes = Records(connection, "volumes", Volume, lambda v: v.name)
        self.images = Records(connection, "images", Image, lambda i: i.id)
        self.stacks = Records(connection, "stacks", StackRecord, lambda s: s.id)
        self.revisions = Records(connection, "revisions", Revision, lambda r: r.id)
        self.grants = Records(connection, "grants", Kept, lambda k: k.id)
        self.build_cache = Records(connection, "build_cache", CachedStep, lambda s: s.id)
        self.events = EventLog(connection)

    def empty_log_by(self, start: Callable[[Callable[[], None]], None]) -> None:
        """Nothing; from now on `start` is given blocking work, for a thread, whenever enough was
        written, and no write waits for the disk any more."""
        self._connection.on_full(lambda: start(partial(empty_log, self._path)))


@contextmanager
def open_database(path: Path) -> Generator[Database]:
    """The state at path, made where there is none, closed at the end of the block.

    Raises: Failed: the file was written by a newer pystack, or is damaged.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    connection = sqlite3.connect(path, isolation_level=None, factory=Journal)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            raise Failed(
                f"{path} was written by a newer pystack (state version {version})",
                code="state-too-new",
                about=str(path),
                hint="upgrade pystack",
            )
        connection.execute(f"PRAGMA user_version = {_VERSION}")
        yield Database(connection, path)
    except sqlite3.DatabaseError as error:
        raise Failed(
            f"{path}: {error}", code="state-damaged", about=str(path), hint="restore it from a copy"
        ) from error
    finally:
        connection.close()
