from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.meter import Meter


def test_a_meter_shows_bytes_speed_and_the_time_that_is_left() -> None:
    meter = Meter()
    meter.tell("", 0, 10_000_000, 0.0)
    meter.tell("", 2_500_000, 10_000_000, 1.0)
    assert meter.text(60, 1.0) == "[=======>                      ]  2.5MB/10MB  2.5MB/s 3s"
    assert meter.text(30, 1.0) == "2.5MB/10MB  2.5MB/s 3s"
    assert meter.text(12, 1.0) == "2.5MB/10MB"
    assert meter.text(5, 1.0) == ""


def test_the_layers_of_an_image_add_up() -> None:
    meter = Meter()
    meter.tell("a", 1_000, 1_000, 0.0)
    meter.tell("b", 0, 3_000, 0.0)
    assert meter.text(30, 0.0) == "[====>              ]  1kB/4kB"


def test_what_has_stopped_gets_slower() -> None:
    meter = Meter()
    meter.tell("", 0, 1_000_000, 0.0)
    meter.tell("", 400_000, 1_000_000, 2.0)
    assert meter.bytes_per_s(2.0) == 200_000
    assert meter.bytes_per_s(4.0) == 100_000


@pytest.mark.parametrize(
    ("missing", "shown"), [(30, "30s"), (90, "1m30s"), (3_700, "1h01m"), (400_000, "")]
)
def test_the_time_that_is_left_is_said_in_two_units(missing: int, shown: str) -> None:
    meter = Meter()
    meter.tell("", 0, missing + 1, 0.0)
    meter.tell("", 1, missing + 1, 1.0)
    assert meter.text(200, 1.0).endswith(f"1B/s {shown}".rstrip())


@given(
    st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(0, 1 << 40), st.floats(0, 1e6))),
    st.integers(0, 200),
)
def test_a_meter_never_is_wider_than_its_room(
    told: list[tuple[int, int, float]], columns: int
) -> None:
    meter = Meter()
    now = 0.0
    for current, total, later in told:
        now += later
        meter.tell("", current, total, now)
    assert len(meter.text(columns, now)) <= columns
