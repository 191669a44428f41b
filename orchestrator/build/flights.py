"""Steps under way: two builds that come to the same step at once share one execution."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from orchestrator.errors import PystackError
from orchestrator.model.events import Progress, Report
from orchestrator.state.buildcache import CachedStep


class _Flight:
    def __init__(self) -> None:
        self.ended = anyio.Event()
        self.reports: list[Report] = []
        self.result: CachedStep | None = None
        self.error: PystackError | None = None

    def report(self, progress: Progress) -> None:
        for report in self.reports:
            report(progress)


class Flights:
    """The steps that are being executed, by cache key; one object for all builds of an engine."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight] = {}

    async def share(
        self, key: str, execute: Callable[[Report], Awaitable[CachedStep]], report: Report
    ) -> CachedStep:
        """The step, executed here or by whoever came first; all of them see its output.

        Raises: what execute raises. Where the first one is cancelled, the next takes over.
        """
        while (flight := self._flights.get(key)) is not None:
            flight.reports.append(report)
            try:
                await flight.ended.wait()
            finally:
                flight.reports.remove(report)
            if flight.result is not None:
                return flight.result
            if (error := flight.error) is not None:
                raise type(error)(
                    error.message, code=error.code, about=error.about, hint=error.hint
                )
        flight = self._flights[key] = _Flight()
        flight.reports.append(report)
        try:
            flight.result = await execute(flight.report)
        except PystackError as error:
            flight.error = error
            raise
        finally:
            del self._flights[key]
            flight.ended.set()
        return flight.result
