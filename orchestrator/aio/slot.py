"""A place among a limited number, given back before its block ends where that is soon enough."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import anyio


class Slot:
    """One place of a limiter: `take` waits for it, `free` gives it back; the end of the block
    gives back what was not. Whichever task calls does not matter."""

    def __init__(self, limiter: anyio.CapacityLimiter) -> None:
        self._limiter = limiter
        self._taken = False

    async def take(self) -> None:
        """Nothing, once the place is ours; one that is needs no second."""
        if not self._taken:
            await self._limiter.acquire_on_behalf_of(self)
            self._taken = True

    def free(self) -> None:
        """Nothing; others may have the place now."""
        if self._taken:
            self._taken = False
            self._limiter.release_on_behalf_of(self)

    async def __aenter__(self) -> Self:
        await self.take()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.free()
