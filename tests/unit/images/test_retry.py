from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from orchestrator.images.retry import TRIES, delay_s


def test_delays_grow_and_then_it_is_given_up() -> None:
    delays = [delay_s(attempt) for attempt in range(1, TRIES + 1)]
    assert delays[-1] is None
    for attempt, delay in enumerate(delays[:-1]):
        assert delay is not None
        assert 0.25 * 2**attempt <= delay <= 0.5 * 2**attempt


def test_a_server_that_names_a_time_is_obeyed() -> None:
    assert delay_s(1, "7") == 7
    assert delay_s(1, formatdate(time.time() + 30, usegmt=True)) == pytest.approx(30, abs=2)
    assert delay_s(1, formatdate(time.time() - 30, usegmt=True)) == 0


def test_a_server_that_asks_for_too_much_patience_is_given_up() -> None:
    assert delay_s(1, "3600") is None


def test_nonsense_is_passed_over() -> None:
    delay = delay_s(1, "soon")
    assert delay is not None
    assert delay <= 0.5
