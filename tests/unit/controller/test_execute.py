"""How a plan is carried out, whatever its actions do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from orchestrator.aio.changes import Changes
from orchestrator.controller.execute import Executor
from orchestrator.controller.gates import GateState
from orchestrator.controller.plan import CreateVolume, Plan
from orchestrator.model.stack import StackVolume

pytestmark = pytest.mark.anyio
MANY = 100


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_others_go_on_while_a_hundred_actions_begin() -> None:
    turns = 0
    begun_at: list[int] = []

    class Volumes:
        async def ensure(self, _name: str, **_wanted: object) -> None:
            begun_at.append(turns)

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    nouns: Any = SimpleNamespace(volumes=Volumes())
    volumes = [StackVolume(key=f"v{n}", name=f"v{n}") for n in range(MANY)]
    plan = Plan(actions=tuple(CreateVolume(volume=v) for v in volumes))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(others)
        outcome = await Executor(nouns, Changes()).execute(plan, lambda: open_gate, ignored)
        tasks.cancel_scope.cancel()
    assert len(outcome.done) == MANY
    assert len(set(begun_at)) > MANY / 2


def open_gate(_gate: object) -> GateState:
    return GateState(state="open")


def ignored(_progress: object) -> None:
    """Nobody watches."""
