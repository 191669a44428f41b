"""Records: what is written can be read."""

from __future__ import annotations

import sqlite3

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.model.observed import Volume
from orchestrator.state.records import Records


def opened(connection: sqlite3.Connection) -> Records[Volume]:
    return Records(connection, "volumes", Volume, lambda v: v.name)


def volume(**labels: object) -> Volume:
    return Volume(name="v1", driver="local", created_at=1.0, mountpoint="/v", labels=labels)  # type: ignore[arg-type]


def test_a_record_is_found_by_the_next_engine() -> None:
    connection = sqlite3.connect(":memory:")
    opened(connection).put(volume(a="b"))
    assert opened(connection).named("v1") == volume(a="b")
    connection.close()


def test_what_could_not_be_read_again_is_not_written() -> None:
    connection = sqlite3.connect(":memory:")
    records = opened(connection)
    with pytest.raises(InvalidInput):
        records.put(volume(a=1))
    assert list(records) == []
    assert list(opened(connection)) == []
    connection.close()
