"""What an update makes of a container's limits."""

from __future__ import annotations

import pytest

from orchestrator.engine.adjust import Update, updated
from orchestrator.errors import InvalidInput
from orchestrator.model.container import Resources
from orchestrator.wire.updates import update_from

MIB = 1 << 20


def test_what_says_something_replaces_and_the_rest_stays() -> None:
    limits = Resources(memory_bytes=64 * MIB, cpu_shares=512, pids_limit=9, memory_swappiness=10)
    body = {"Memory": 32 * MIB, "CpuShares": 0, "CpusetCpus": "0", "MemorySwap": -1}
    made = updated(limits, Update(limits=update_from(body)))
    assert made == Resources(
        memory_bytes=32 * MIB, cpu_shares=512, pids_limit=9, memory_swappiness=10,
        cpuset_cpus="0", memory_swap_bytes=-1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pids", "limit"), [(None, 9), (20, 20), (-1, 0), (0, 0)]
)  # fmt: skip
def test_a_limit_of_processes_can_be_lifted(pids: int | None, limit: int) -> None:
    update = Update(limits=update_from({"PidsLimit": pids}))
    assert updated(Resources(pids_limit=9), update).pids_limit == limit


@pytest.mark.parametrize(
    ("limits", "body", "problem"),
    [
        (Resources(nano_cpus=1), {"CpuQuota": 1000}, "NanoCPUs has already been set"),
        (Resources(cpu_period_us=1000), {"NanoCpus": 5}, "CPU Period or Quota has already"),
        (
            Resources(memory_bytes=MIB, memory_swap_bytes=2 * MIB),
            {"Memory": 3 * MIB},
            "smaller than already set memoryswap",
        ),
    ],
)
def test_limits_that_exclude_each_other_are_refused(
    limits: Resources, body: dict[str, int], problem: str
) -> None:
    with pytest.raises(InvalidInput, match=problem):
        updated(limits, Update(limits=update_from(body)))


def test_memory_may_grow_together_with_its_swap() -> None:
    limits = Resources(memory_bytes=MIB, memory_swap_bytes=2 * MIB)
    update = Update(limits=update_from({"Memory": 3 * MIB, "MemorySwap": 6 * MIB}))
    assert updated(limits, update).memory_swap_bytes == 6 * MIB
