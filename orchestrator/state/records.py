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
    """The records of one kind; `version` is another with every change of one. `group_of` says what
    a record is found by besides its id and name, "" for nothing.

    Source: SQLite's "WAL mode" and "PRAGMA synchronous" pages, for what a commit promises.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        table: str,
        kind: type[T],
        name_of: Callable[[T], str],
        group_of: Callable[[T], str] = lambda _: "",
    ) -> None:
        self._connection = connection
        self._table = table
        self._name_of = name_of
        self._group_of = group_of
        self._encode = msgspec.json.Encoder().encode
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {table} (id TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID"
        )
        self._decode = msgspec.json.Decoder(kind).decode
        rows = connection.execute(f"SELECT value FROM {table}")
        self._by_id: dict[str, T] = {}
        self._by_name: dict[str, str] = {}
        self._groups: dict[str, _Group[T]] = {}
        self.version = 0
        for value in (self._decode(row[0]) for row in rows):
            self._keep(value)

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

    def in_group(self, group: str) -> list[T]:
        """The records of the group, in no order."""
        found = self._groups.get(group)
        return list(found.by_id.values()) if found else []

    def version_of(self, group: str) -> int:
        """A number that is another after every change of the group's records."""
        found = self._groups.get(group)
        return found.version if found else 0

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
        self._keep(value)
        return value

    def delete(self, identifier: str) -> None:
        """Nothing; a record that is not there is no error."""
        reach("unrecord", self._table)
        self._connection.execute(f"DELETE FROM {self._table} WHERE id = ?", (identifier,))
        self._forget(identifier)

    def _keep(self, value: T) -> None:
        # In its old place, so that what comes in no order still comes in the same.
        old = self._by_id.get(value.id)
        if old is not None:
            self._by_name.pop(self._name_of(old), None)
            if self._group_of(old) != self._group_of(value):
                self._leave_group(old)
        self._by_id[value.id] = value
        self._by_name[self._name_of(value)] = value.id
        self.version += 1
        if group := self._group_of(value):
            own = self._groups.setdefault(group, _Group())
            own.by_id[value.id] = value
            own.version = self.version

    def _forget(self, identifier: str) -> None:
        if (old := self._by_id.pop(identifier, None)) is not None:
            self._by_name.pop(self._name_of(old), None)
            self.version += 1
            self._leave_group(old)

    def _leave_group(self, value: T) -> None:
        group = self._group_of(value)
        own = self._groups.get(group)
        if own is None:
            return
        own.by_id.pop(value.id, None)
        self.version += 1
        own.version = self.version
        if not own.by_id:
            del self._groups[group]


class _Group(Generic[T]):
    """Records that belong together."""

    __slots__ = ("by_id", "version")

    def __init__(self) -> None:
        self.by_id: dict[str, T] = {}
        self.version = 0
