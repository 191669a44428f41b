"""GET /events: what happened and what happens."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

import anyio
import anyio.lowlevel
from aiohttp import web

from orchestrator.api.parts import Parts
from orchestrator.api.streams import JsonLines, json_lines
from orchestrator.errors import InvalidInput
from orchestrator.model.events import Event
from orchestrator.wire.events import FILTERS, event_message, wanted
from orchestrator.wire.filters import Filters
from orchestrator.wire.times import moment_of

_AT_ONCE = 100


class EventHandlers:
    def __init__(self, parts: Parts) -> None:
        self._events = parts.events

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/events", self.events)]

    async def events(self, request: web.Request) -> web.StreamResponse:
        now = time.time()
        filters = Filters.parse(request.query.get("filters", ""), FILTERS)
        since, until = _moment(request, "since", now), _moment(request, "until", now)
        with self._events.live.subscribe() as live:
            # Looked up before anything else can happen, so that nothing comes twice or never.
            past: Iterable[list[Event]] = ()
            if since is not None or (until is not None and until <= now):
                # What has happened already may be later than now, if the clock was set back.
                end = math.inf if until is None or until > now else until
                past = self._events.log.pages(since or 0.0, end)
            async with json_lines(request) as lines:
                for page in past:
                    for number, event in enumerate(page):
                        await _tell(lines, event, filters)
                        if number % _AT_ONCE == 0:
                            # A long history must not keep others waiting.
                            await anyio.lowlevel.checkpoint()
                    await anyio.lowlevel.checkpoint()
                if until is None or until > now:
                    with anyio.move_on_after(None if until is None else until - time.time()):
                        async for event in live:
                            await _tell(lines, event, filters)
            return lines.response


async def _tell(lines: JsonLines, event: Event, filters: Filters) -> None:
    if wanted(event, filters):
        await lines.send(event_message(event))


def _moment(request: web.Request, name: str, now: float) -> float | None:
    text = request.query.get(name)
    if not text:
        return None
    try:
        return moment_of(text, now)
    except ValueError as error:
        raise InvalidInput(
            f"{name}: {text!r} is not a time",
            code="time-invalid",
            about=name,
            hint="send seconds since 1970, a date, or a duration such as 10m",
        ) from error
