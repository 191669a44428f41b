"""The history of events, however long it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from orchestrator.model.events import Event
from orchestrator.state.events import EventLog


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(":memory:", isolation_level=None)
    yield opened
    opened.close()


def filled(connection: sqlite3.Connection, *times: float) -> EventLog:
    log = EventLog(connection)
    for number, time in enumerate(times):
        log.append(Event(type="container", action="die", id=f"c{number}", time=time))
    return log


def test_events_come_in_the_order_they_happened_in_though_the_clock_went_back(
    connection: sqlite3.Connection,
) -> None:
    log = filled(connection, 10, 11, 5, 12)
    assert [e.id for e in log.between(0, 100)] == ["c0", "c1", "c2", "c3"]
    assert [e.id for e in log.between(10, 11)] == ["c0", "c1"]
    assert [e.id for e in log.between(0, 9)] == ["c2"]
    assert list(log.between(13, 100)) == []


def test_only_what_happened_before_it_was_asked_for_is_told(
    connection: sqlite3.Connection,
) -> None:
    log = filled(connection, 1, 2)
    asked = log.between(0, 100)
    log.append(Event(type="container", action="start", id="later", time=3))
    assert [e.id for e in asked] == ["c0", "c1"]


def test_a_long_history_is_read_in_pieces_and_only_where_it_can_be(
    connection: sqlite3.Connection,
) -> None:
    log = filled(connection, *range(3000))
    pages = [[e.id for e in page] for page in log.pages(0, 1e9)]
    assert max(map(len, pages)) <= 1000
    assert [identifier for page in pages for identifier in page] == [f"c{n}" for n in range(3000)]
    assert [e.id for page in log.pages(0, 1e9, '"c2999"') for e in page] == ["c2999"]
    assert len(list(log.pages(2990, 1e9))) == 1, "what is older is not looked at"


def test_a_piece_costs_its_length_and_not_that_of_the_history(
    connection: sqlite3.Connection,
) -> None:
    log = filled(connection, *range(20_000))
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    pages = log.pages(0, 1e9)
    connection.set_progress_handler(count, 100)
    next(pages)
    assert steps < 200
