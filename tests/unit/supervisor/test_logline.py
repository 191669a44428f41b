"""Records of conmon's log file become lines."""

from __future__ import annotations

import pytest

from orchestrator.supervisor.logline import LONGEST_LINE, Joiner, LogLine, parse_record, parse_time

STAMP = b"2026-11-24T09:21:19.365410826+00:00"
NS = 1795512079_365410826


def test_a_record_is_time_stream_tag_and_text() -> None:
    assert parse_record(STAMP + b" stdout F a b  c ") == LogLine(NS, "stdout", b"a b  c ")
    assert parse_record(STAMP + b" stderr P ") == LogLine(NS, "stderr", b"", partial=True)


@pytest.mark.parametrize("junk", [b"", b"hello", STAMP + b" stdin F x", b"yesterday stdout F x"])
def test_what_is_not_a_record_is_nothing(junk: bytes) -> None:
    assert parse_record(junk) is None


def test_times_are_exact_to_the_nanosecond_in_every_zone() -> None:
    assert parse_time(b"2026-11-24T10:21:19.365410826+01:00") == NS
    assert parse_time(b"2026-11-24T09:21:19.3Z") == 1795512079_300000000
    assert parse_time(b"2026-11-24T09:21:19+00:00") == 1795512079_000000000


def test_partial_records_are_joined_per_stream_under_the_first_time() -> None:
    joiner = Joiner()
    records = [
        LogLine(1, "stdout", b"a", True),
        LogLine(2, "stderr", b"x", True),
        LogLine(3, "stdout", b"b", True),
        LogLine(4, "stderr", b"y"),
        LogLine(5, "stdout", b"c"),
        LogLine(6, "stdout", b"end", True),
    ]
    lines = [line for line in map(joiner.take, records) if line is not None]
    assert lines == [LogLine(2, "stderr", b"xy"), LogLine(1, "stdout", b"abc")]
    assert list(joiner.rest()) == [LogLine(6, "stdout", b"end", True)]
    assert list(joiner.rest()) == []


def test_a_line_without_end_comes_in_pieces() -> None:
    joiner = Joiner()
    piece = LogLine(1, "stdout", b"x" * (LONGEST_LINE // 2), True)
    assert joiner.take(piece) is None
    assert joiner.take(piece) == LogLine(1, "stdout", b"x" * LONGEST_LINE, True)
    assert list(joiner.rest()) == []
