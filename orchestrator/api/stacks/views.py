"""What there is of stacks: lists, details, drift, history, and why things are as they are."""

from __future__ import annotations

import json
import math

import anyio.lowlevel
from aiohttp import web

from orchestrator.api.docker.requests import seconds
from orchestrator.api.parts import Parts
from orchestrator.api.stacks.wishes import PREFIX, planned
from orchestrator.model.events import Event
from orchestrator.model.observed import Container
from orchestrator.state import labels
from orchestrator.wire.container_list import container_summary
from orchestrator.wire.events import event_message
from orchestrator.wire.times_of_day import by_time_of_day


class StackViewHandlers:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._controller = parts.controller

    def routes(self) -> list[web.RouteDef]:
        one = PREFIX + "/stacks/{name}"
        return [
            web.get(PREFIX + "/stacks", self.index),
            web.get(one, self.show),
            web.get(one + "/drift", self.drift),
            web.get(one + "/revisions", self.revisions),
            web.get(one + "/why", self.why),
        ]

    async def index(self, _request: web.Request) -> web.Response:
        shown = []
        for record in self._controller.records():
            containers = self._of(record.id)
            running = sum(c.running for c in containers)
            status = f"running({running})" if running else f"exited({len(containers)})"
            shown.append(
                {
                    "name": record.id,
                    "wish": record.desired.wish,
                    "status": status,
                    "files": list(record.desired.stack.files),
                }
            )
        return web.json_response(shown)

    def _of(self, name: str) -> list[Container]:
        return self._parts.nouns.containers.labelled(labels.PROJECT, name)

    async def show(self, request: web.Request) -> web.Response:
        record = self._controller.record(request.match_info["name"])
        images = self._parts.nouns.images
        stack = record.desired.stack
        observed = self._controller.observed(stack)
        services = []
        for service in stack.services:
            own = observed.of_service(service.name)
            services.append(
                {
                    "name": service.name,
                    "desired": service.scale,
                    "running": sum(c.running for c in own),
                    "healthy": sum(c.state.health == "healthy" for c in own),
                    "image": service.container.image,
                }
            )
        drift_s = self._parts.clock.drift()
        shown = [
            container_summary(by_time_of_day(c, drift_s), images.find(c.image_id))
            for c in self._of(record.id)
        ]
        return web.json_response(
            {
                "name": record.id,
                "wish": record.desired.wish,
                "services": services,
                "containers": shown,
            }
        )

    async def drift(self, request: web.Request) -> web.Response:
        return web.json_response(planned(self._controller.drift(request.match_info["name"])))

    async def revisions(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self._controller.record(name)
        return web.json_response(
            [
                {"number": r.number, "at": r.at, "cause": r.cause, "changes": list(r.changes)}
                for r in self._controller.history.of(name)
            ]
        )

    async def why(self, request: web.Request) -> web.Response:
        """What happened to a service (or the stack), oldest first, in the shape of events."""
        name, query = request.match_info["name"], request.query
        self._controller.record(name)
        since = seconds(request, "since") or 0.0
        until = seconds(request, "until") or math.inf
        service = query.get("service") or ""
        told: list[str] = []
        for page in self._parts.events.log.pages(since, until, name):
            told += [json.dumps(event_message(e)) for e in page if is_about(e, name, service)]
            # A long history must not keep others waiting.
            await anyio.lowlevel.checkpoint()
        return web.json_response(text=f"[{','.join(told)}]")


def is_about(event: Event, stack: str, service: str) -> bool:
    """Whether the event belongs to that service of the stack, or to the whole stack."""
    said = event.attributes
    if event.type == "stack" and event.id == stack:
        if not service or ("service" not in said and "action" not in said):
            return True
        named = said.get("action", "")
        return said.get("service") == service or f" {stack}-{service}-" in f"{named}-"
    if said.get(labels.PROJECT) != stack:
        return False
    return not service or said.get(labels.SERVICE) == service
