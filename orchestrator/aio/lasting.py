"""Work that must not take the process with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

import anyio
import structlog
from anyio.abc import TaskGroup

_FIRST_S = 1.0
_LONGEST_S = 60.0


async def lasting(work: Callable[[], Awaitable[object]], name: str) -> None:
    """Nothing, once the work has ended by itself.

    An error that nobody foresaw is logged whole, and the work begun again, ever more slowly.
    """
    delay_s = _FIRST_S
    while True:
        try:
            await work()
        except Exception as error:
            structlog.get_logger().error(
                "an error of our own", work=name, again_in_s=delay_s, exc_info=error
            )
            await anyio.sleep(delay_s)
            delay_s = min(_LONGEST_S, delay_s * 2)
        else:
            return


async def logged(work: Callable[[], Awaitable[object]], name: str) -> None:
    """Nothing, once the work has ended, well or not; an unforeseen error is logged whole."""
    try:
        await work()
    except Exception as error:
        structlog.get_logger().error("an error of our own", work=name, exc_info=error)


class Tasks(Protocol):
    """Where a task can be left to itself: a task group, or a `Background`."""

    def start_soon(
        self, func: Callable[..., Awaitable[object]], *args: object, name: object = None
    ) -> object: ...


class Background:
    """A task group whose tasks are many owners' own: an error of one is logged, and ends that one
    alone."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks

    def start_soon(
        self, func: Callable[..., Awaitable[object]], *args: object, name: object = None
    ) -> None:
        """Nothing; the task has begun, or will at the next turn."""
        called = str(name or getattr(func, "__qualname__", func))
        self._tasks.start_soon(logged, partial(func, *args), called, name=name)
