from __future__ import annotations

import anyio
import pytest

from orchestrator.aio.slot import Slot


async def test_a_place_is_given_back_early_or_at_the_end_and_only_once() -> None:
    limiter = anyio.CapacityLimiter(1)
    async with Slot(limiter) as slot:
        assert limiter.borrowed_tokens == 1
        await slot.take()
        slot.free()
        slot.free()
        assert limiter.borrowed_tokens == 0
        await slot.take()
    assert limiter.borrowed_tokens == 0


async def test_a_place_is_given_back_when_the_work_fails_in_another_task() -> None:
    limiter = anyio.CapacityLimiter(1)

    async def work() -> None:
        async with Slot(limiter) as slot, anyio.create_task_group() as tasks:
            tasks.start_soon(fail, slot)

    async def fail(slot: Slot) -> None:
        slot.free()
        await slot.take()
        raise ValueError

    with pytest.raises(ExceptionGroup):
        await work()
    assert limiter.borrowed_tokens == 0
