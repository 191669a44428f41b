"""Waiting for something to become true without polling."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio

T = TypeVar("T")


class Changes:
    """A bell: `ring` wakes everybody who waits in `until`, and each looks again for itself."""

    def __init__(self) -> None:
        self._bell = anyio.Event()

    def ring(self) -> None:
        """Nothing; whoever waits now looks again."""
        self._bell.set()
        self._bell = anyio.Event()

    async def until(self, look: Callable[[], T | None]) -> T:
        """The first value of `look` that is not None; `look` runs now and after each ring."""
        while True:
            bell = self._bell
            if (value := look()) is not None:
                return value
            await bell.wait()
