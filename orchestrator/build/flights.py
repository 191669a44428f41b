"""Steps under way: two builds that come to the same step at once share one execution."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from orchestrator.errors import PystackError
from orchestrator.state.buildcache import CachedStep

Say = Callable[[str], None]


class _Flight:
    def __init__(self) -> None:
        self.ended = anyio.Event()
        self.listeners: list[Say] = []
        self.result: CachedStep | None = None
        self.error: PystackError | None = None

    def say(self, line: str) -> None:
        for listener in self.listeners:
            listener(line)


class Flights:
    """The steps that are being executed, by cache key; one object for all builds of an engine."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight] = {}

    async def share(
        self, key: str, execute: Callable[[Say], Awaitable[CachedStep]], say: Say
    ) -> CachedStep:
        """The step, executed here or by whoever came first; all of them are told its output.

        Raises: what execute raises. Where the first one is cancelled, the next takes over.
        """
        while (flight := self._flights.get(key)) is not None:
            flight.listeners.append(say)
            try:
                await flight.ended.wait()
            finally:
                flight.listeners.remove(say)
            if flight.result is not None:
                return flight.result
            if (error := flight.error) is not None:
                raise type(error)(
                    error.message, code=error.code, about=error.about, hint=error.hint
                )
        flight = self._flights[key] = _Flight()
        flight.listeners.append(say)
        try:
            flight.result = await execute(flight.say)
        except PystackError as error:
            flight.error = error
            raise
        finally:
            del self._flights[key]
            flight.ended.set()
        return flight.result
