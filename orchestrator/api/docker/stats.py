"""Endpoints that tell what a container does: stats and top."""

from __future__ import annotations

import shlex

import anyio
from aiohttp import web

from orchestrator.api.docker.requests import flag
from orchestrator.api.parts import Parts
from orchestrator.api.streams import json_lines
from orchestrator.engine.container_records import tell_of
from orchestrator.engine.usage import processes_of, usage_of
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.model.usage import Usage
from orchestrator.wire.stats import stats_json

_EVERY_S = 1.0


class StatsHandlers:
    def __init__(self, parts: Parts) -> None:
        self._containers = parts.nouns.containers
        self._events = parts.events

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/containers/{id}/stats", self.stats),
            web.get("/containers/{id}/top", self.top),
        ]

    async def stats(self, request: web.Request) -> web.StreamResponse:
        container = self._containers.get(request.match_info["id"])
        if "stream" in request.query and not flag(request, "stream"):
            before: Usage | None = None
            if not flag(request, "one-shot") and container.running:
                # Two samples, or nobody could tell what share of a processor it has.
                before = await usage_of(container)
                await anyio.sleep(_EVERY_S)
                container = self._containers.get(container.id)
            usage = await usage_of(container)
            return web.json_response(stats_json(container.id, container.name, usage, before))
        async with json_lines(request) as lines:
            before = None
            while not lines.gone:
                usage = await usage_of(container)
                await lines.send(stats_json(container.id, container.name, usage, before))
                before = usage
                await anyio.sleep(_EVERY_S)
                try:
                    container = self._containers.get(container.id)
                except NotFound:
                    break
        return lines.response

    async def top(self, request: web.Request) -> web.Response:
        container = self._containers.get(request.match_info["id"])
        try:
            arguments = shlex.split(request.query.get("ps_args") or "-ef")
        except ValueError as error:
            raise InvalidInput(
                f"ps_args: {error}", code="bad-request", about="ps_args", hint="close the quote"
            ) from error
        table = await processes_of(container, arguments)
        tell_of(self._events, "top", container)
        return web.json_response({"Titles": table.titles, "Processes": table.rows})
