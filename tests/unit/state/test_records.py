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


def test_records_are_found_by_what_they_belong_to() -> None:
    connection = sqlite3.connect(":memory:")
    records = Records(
        connection, "volumes", Volume, lambda v: v.name, lambda v: v.labels.get("of", "")
    )
    assert records.in_group("a") == []
    mine, other, nobodys = named("v1", "a"), named("v2", "b"), named("v3", "")
    for one in (mine, other, nobodys):
        records.put(one)
    assert records.in_group("a") == [mine]
    assert records.in_group("") == []
    moved = named("v2", "a")
    records.put(moved)
    assert records.in_group("b") == []
    assert records.in_group("a") == [mine, moved]
    records.delete("v1")
    assert records.in_group("a") == [moved]
    connection.close()


def test_a_group_has_another_version_after_every_change_of_it_and_of_no_other() -> None:
    connection = sqlite3.connect(":memory:")
    records = Records(
        connection, "volumes", Volume, lambda v: v.name, lambda v: v.labels.get("of", "")
    )
    seen = {records.version_of("a")}
    changes = [
        lambda: records.put(named("v1", "a")),
        lambda: records.put(named("v2", "a")),
        lambda: records.put(named("v2", "b")),
        lambda: records.put(named("v2", "a")),
        lambda: records.delete("v2"),
        lambda: records.put(named("v2", "a")),
    ]
    for number, change in enumerate(changes):
        change()
        seen.add(records.version_of("a"))
        assert len(seen) == number + 2
    before, overall = records.version_of("a"), records.version
    records.put(named("v3", "c"))
    records.delete("v3")
    assert records.version_of("a") == before
    assert records.version != overall
    connection.close()


def named(name: str, group: str) -> Volume:
    return Volume(name=name, driver="local", created_at=1.0, mountpoint="/v", labels={"of": group})
