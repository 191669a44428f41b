"""What a stack's loop tells whoever waits for it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from orchestrator.aio.changes import Changes
from orchestrator.controller.loop import StackLoop
from orchestrator.controller.observed import Observed
from orchestrator.model.stack import Stack
from orchestrator.state.stacks import Desired

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_who_waits_is_told_of_an_error_that_nobody_foresaw() -> None:
    def observed(_desired: Desired) -> Observed:
        raise ZeroDivisionError("by nought")

    unused: Any = None
    loop = StackLoop("demo", observed, unused, Changes(), unused)
    loop.want(Desired(stack=Stack(name="demo")), 1)
    with pytest.raises(ZeroDivisionError):
        await loop.run()
    with anyio.fail_after(1):
        status = await loop.settled(1)
    assert status.error is not None
    assert status.error.code == "internal-error"
    assert "by nought" in str(status.error)


async def test_a_settled_stack_is_looked_at_when_something_of_it_has_changed_and_not_else() -> None:
    looks: list[Desired] = []
    version = 1

    def observed(desired: Desired) -> Observed:
        looks.append(desired)
        return Observed()

    changes = Changes()
    notes: Any = _NoNotes()
    unused: Any = None
    loop = StackLoop("demo", observed, unused, changes, notes, version=lambda name: version)
    loop.want(Desired(stack=Stack(name="demo")), 1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(loop.run)
        with anyio.fail_after(1):
            await loop.settled(1)
        await anyio.wait_all_tasks_blocked()
        settled = len(looks)
        for _ in range(100):
            changes.ring()
            await anyio.wait_all_tasks_blocked()
        assert len(looks) == settled
        version = 2
        changes.ring()
        await anyio.wait_all_tasks_blocked()
        assert len(looks) == settled + 1
        tasks.cancel_scope.cancel()


class _NoNotes:
    """Where nothing is noted."""

    def met(self, name: str, observed: Observed) -> None:
        pass
