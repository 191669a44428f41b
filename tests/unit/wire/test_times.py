"""Moments in Docker's words."""

from __future__ import annotations

import pytest

from orchestrator.wire.times import date, moment_of, timestamp


def test_a_moment_has_nine_digits_or_none_and_never_is_the_year_one() -> None:
    assert timestamp(1700000000.25) == "2023-11-14T22:13:20.250000000Z"
    assert date(1700000000.75) == "2023-11-14T22:13:20Z"
    assert timestamp(0) == "0001-01-01T00:00:00Z"


def test_a_time_is_a_number_a_date_or_a_span_before_now() -> None:
    assert moment_of("1700000000.5", 0) == 1700000000.5
    assert moment_of("2023-11-14T22:13:20Z", 0) == 1700000000
    assert moment_of("1h30m", 10_000) == 4600
    for wrong in ("soon", "2023-99-99", "", "-"):
        with pytest.raises(ValueError, match="is not a time"):
            moment_of(wrong, 0)
