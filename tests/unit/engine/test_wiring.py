"""How often the hosts files of all are rewritten, while containers come and go."""

from __future__ import annotations

import math

from orchestrator.engine.wiring import refresh_delay_s


def rewritten_files(count: int, spacing_s: float) -> int:
    """The hosts files that are written while so many containers start one after the other."""
    now, last, due, files = 0.0, -math.inf, math.inf, 0
    for number in range(1, count + 1):
        now += spacing_s
        if due <= now:
            last, due, files = due, math.inf, files + number - 1
        if due == math.inf:
            due = now + refresh_delay_s(now - last, number)
    return files


def test_a_change_after_quiet_is_told_at_once() -> None:
    assert refresh_delay_s(math.inf, 500) <= 0.02
    assert refresh_delay_s(10.0, 500) <= 0.02


def test_containers_that_follow_each_other_share_the_rewriting() -> None:
    few, many = rewritten_files(50, 0.05), rewritten_files(500, 0.05)
    assert many <= 25 * few
    assert many / 500 < 60, "files written for each start, of hundreds that there are"
