from __future__ import annotations

import threading

import pytest

from orchestrator.images.lane import Lane


def test_pieces_arrive_in_order_before_close_returns() -> None:
    found: list[bytes] = []
    lane = Lane("test", found.append)
    pieces = [b"%d" % number for number in range(100)]
    for piece in pieces:
        lane.put(piece)
    lane.close()
    assert found == pieces


def test_a_failure_reaches_who_fills_the_lane_and_nobody_hangs() -> None:
    def fail(data: bytes) -> None:
        raise ValueError(data)

    def fill(lane: Lane) -> None:
        for _ in range(100):
            lane.put(b"a")

    lane = Lane("test", fail)
    with pytest.raises(ValueError, match="a"):
        fill(lane)
    with pytest.raises(ValueError, match="a"):
        lane.close()


def test_a_full_lane_stops_who_fills_it_and_an_abandoned_one_ends() -> None:
    may_go = threading.Event()
    taken: list[bytes] = []

    def consume(data: bytes) -> None:
        may_go.wait(10)
        taken.append(data)

    lane = Lane("test", consume)
    filler = threading.Thread(target=lambda: [lane.put(b"x") for _ in range(6)], daemon=True)
    filler.start()
    filler.join(0.1)
    assert filler.is_alive()
    may_go.set()
    filler.join(10)
    assert not filler.is_alive()
    lane.abandon()
    assert len(taken) <= 6
