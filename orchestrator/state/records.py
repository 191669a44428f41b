"""One table per kind of record: the value as JSON, found by id and by name.

Reads are served from memory, which is right because only the engine writes; a write is on disk
before it can be read. Knows nothing of what the values mean.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

import msgspec

from orchestrator.aio.points import reach
from orchestrator.errors import InvalidInput


class Record(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=Record)


class Records(Generic[T]):
    """The records of one kind.

    Source: SQLite's "WAL mode" and "PRAGMA synchronous" pages, for what a commit promises.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        table: str,
        kind: type[T],
        name_of: Callable[[T], str],
    ) -> None:
        self._connection = connection
        self._table = table
        self._name_of = name_of
        self._encode = msgspec.json.Encoder().encode
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {table} (id TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID"
        )
        self._decode = msgspec.json.Decoder(kind).decode
        rows = connection.execute(f"SELECT value FROM {table}")
        self._by_id: dict[str, T] = {v.id: v for v in (self._decode(row[0]) for row in rows)}
        self._by_name: dict[str, str] = {name_of(v): v.id for v in self._by_id.values()}

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, identifier: str) -> T | None:
        """The record with exactly this id."""
        return self._by_id.get(identifier)

    def named(self, name: str) -> T | None:
        """The record with exactly this name."""
        identifier = self._by_name.get(name)
        return None if identifier is None else self._by_id.get(identifier)

    def starting(self, prefix: str) -> list[T]:
        """The records whose id begins with prefix, in no order."""
        return [v for i, v in self._by_id.items() if i.startswith(prefix)]

    def put(self, value: T) -> T:
        """The value itself, once it is stored in place of any record with its id.

        Raises: InvalidInput: it holds something of a wrong type, so that it could not be read by
        the next engine.
        """
        stored = self._encode(value)
        try:
            self._decode(stored)
        except msgspec.ValidationError as error:
            raise InvalidInput(
                f"this cannot be recorded: {error}",
                code="bad-request",
                about=value.id,
                hint="give text where text is expected, and numbers where numbers are",
            ) from error
        reach("record", self._table)
        self._connection.execute(
            f"INSERT INTO {self._table} VALUES (?, ?)"
            " ON CONFLICT (id) DO UPDATE SET value = excluded.value",
            (value.id, stored),
        )
        if (old := self._by_id.get(value.id)) is not None:
            self._by_name.pop(self._name_of(old), None)
        self._by_id[value.id] = value
        self._by_name[self._name_of(value)] = value.id
        return value

    def delete(self, identifier: str) -> None:
        """Nothing; a record that is not there is no error."""
        reach("unrecord", self._table)
        self._connection.execute(f"DELETE FROM {self._table} WHERE id = ?", (identifier,))
        if (old := self._by_id.pop(identifier, None)) is not None:
            self._by_name.pop(self._name_of(old), None)
