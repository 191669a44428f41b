"""When an ended container is started again."""

from __future__ import annotations

import pytest

from orchestrator.model.container import RestartName, RestartPolicy
from orchestrator.supervisor.restart import next_restart, starts_with_engine


def answer(
    name: RestartName,
    *,
    exit_code: int = 1,
    ran_for_s: float = 1.0,
    attempts: int = 0,
    stopped_by_user: bool = False,
    max_retries: int = 0,
) -> float | None:
    return next_restart(
        RestartPolicy(name=name, max_retries=max_retries),
        exit_code=exit_code,
        ran_for_s=ran_for_s,
        attempts=attempts,
        stopped_by_user=stopped_by_user,
    )


def test_the_delay_doubles_from_a_tenth_of_a_second_to_a_minute() -> None:
    delays = [answer("always", attempts=n) for n in range(12)]
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0, 60.0]
    assert answer("always", attempts=10**9) == 60.0


def test_ten_seconds_of_running_begin_the_count_anew() -> None:
    assert answer("always", attempts=9, ran_for_s=10.0) == 0.1
    assert answer("always", attempts=9, ran_for_s=9.9) == 51.2


@pytest.mark.parametrize("name", ["no", "always", "on-failure", "unless-stopped"])
def test_what_a_person_stopped_stays_down(name: RestartName) -> None:
    assert answer(name, stopped_by_user=True) is None


def test_success_satisfies_on_failure_but_not_always() -> None:
    assert answer("on-failure", exit_code=0) is None
    assert answer("on-failure", exit_code=137) == 0.1
    assert answer("always", exit_code=0) == 0.1
    assert answer("no", exit_code=1) is None


def test_on_failure_gives_up_after_its_retries() -> None:
    assert answer("on-failure", attempts=2, max_retries=3) == 0.4
    assert answer("on-failure", attempts=3, max_retries=3) is None
    assert answer("on-failure", attempts=3, max_retries=3, ran_for_s=60) == 0.1


def test_a_new_engine_starts_what_is_to_be_up() -> None:
    starts = {
        (name, stopped): starts_with_engine(RestartPolicy(name=name), stopped_by_user=stopped)
        for name in ("no", "always", "on-failure", "unless-stopped")
        for stopped in (False, True)
    }
    assert {key for key, value in starts.items() if value} == {
        ("always", False),
        ("always", True),
        ("unless-stopped", False),
    }
