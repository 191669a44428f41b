"""Our own endpoints, about stacks: wishes in, progress and logs out."""

from __future__ import annotations

from typing import TypeVar

import anyio
import anyio.lowlevel
import msgspec
from aiohttp import web

from orchestrator.api.docker.requests import flag, json_body
from orchestrator.api.logs import container_lines
from orchestrator.api.parts import Parts
from orchestrator.api.status import body_of
from orchestrator.api.streams import JsonLines, json_lines
from orchestrator.controller.controller import Ticket
from orchestrator.controller.wishes import UpOptions
from orchestrator.errors import Failed, InvalidInput
from orchestrator.model.observed import Container
from orchestrator.model.stack import Stack
from orchestrator.state import labels
from orchestrator.wire.container_list import container_summary

_PREFIX = "/pystack/v1"
_T = TypeVar("_T")


class StackHandlers:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._controller = parts.controller

    def routes(self) -> list[web.RouteDef]:
        one = _PREFIX + "/stacks/{name}"
        return [
            web.post(_PREFIX + "/shutdown", self.shutdown),
            web.get(_PREFIX + "/stacks", self.index),
            web.get(one, self.show),
            web.get(one + "/logs", self.logs),
            web.post(one + "/up", self.up),
            web.post(one + "/stop", self.stop),
            web.post(one + "/start", self.start),
            web.post(one + "/down", self.down),
        ]

    async def shutdown(self, _request: web.Request) -> web.Response:
        self._parts.shutdown()
        return web.Response(status=204)

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
        shown = [container_summary(c, images.find(c.image_id)) for c in self._of(record.id)]
        return web.json_response(
            {
                "name": record.id,
                "wish": record.desired.wish,
                "services": services,
                "containers": shown,
            }
        )

    # -- wishes ----------------------------------------------------------------------------

    async def up(self, request: web.Request) -> web.StreamResponse:
        body = await json_body(request)
        stack = _converted(body.get("stack"), Stack)
        options = UpOptions(
            build=bool(body.get("build")),
            pull=str(body.get("pull") or ""),
            recreate=str(body.get("recreate") or "diverged"),
            no_build=bool(body.get("no_build")),
            recreate_deps=bool(body.get("recreate_deps")),
            renew_volumes=bool(body.get("renew_volumes")),
            remove_orphans=bool(body.get("remove_orphans")),
            no_deps=bool(body.get("no_deps")),
            no_start=bool(body.get("no_start")),
            grace_s=body.get("grace_s"),
            services=tuple(body.get("services") or ()),
        )
        plan = self._controller.plan_up(stack, options)
        async with json_lines(request) as lines:
            await lines.send({"plan": plan.lines()})
            if body.get("dry_run"):
                result = {"changed": len(plan.actions), "warnings": plan.warnings}
                await lines.send({"result": {**result, "plan": plan.lines()}})
                return lines.response
            async with self._controller.progress(stack.name) as progress:
                ticket = self._controller.up(stack, options)
                await self._told(lines, ticket, progress, stack, body)
        return lines.response

    async def stop(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self._controller.record(name)
        body = await json_body(request)
        async with json_lines(request) as lines, self._controller.progress(name) as progress:
            ticket = self._controller.stop(name, body.get("services") or (), body.get("grace_s"))
            await self._told(lines, ticket, progress)
        return lines.response

    async def start(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self._controller.record(name)
        body = await json_body(request)
        async with json_lines(request) as lines, self._controller.progress(name) as progress:
            ticket = self._controller.start(name, body.get("services") or ())
            await self._told(lines, ticket, progress)
        return lines.response

    async def down(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        body = await json_body(request)
        stack = _converted(body["stack"], Stack) if body.get("stack") else None
        async with json_lines(request) as lines:
            if not self._controller.known(name):
                warning = f"nothing to remove: there is no stack {name}"
                await lines.send({"result": {"changed": 0, "warnings": [warning]}})
                return lines.response
            async with self._controller.progress(name) as progress:
                ticket = self._controller.down(
                    name, stack, volumes=bool(body.get("volumes")), grace_s=body.get("grace_s")
                )
                await self._told(lines, ticket, progress)
        return lines.response

    async def _told(
        self,
        lines: JsonLines,
        ticket: Ticket,
        progress: object,
        stack: Stack | None = None,
        body: dict[str, object] | None = None,
    ) -> None:
        """Nothing, once the wish is settled and the client was told all of it."""

        async def tell() -> None:
            async for step in progress:  # type: ignore[attr-defined]
                await lines.send({"progress": step})

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tell)
            last = await self._settled(ticket, stack, body or {})
            # What was reported before the end is told before the end.
            while progress.statistics().current_buffer_used:  # type: ignore[attr-defined]
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        await lines.send(last)

    async def _settled(
        self, ticket: Ticket, stack: Stack | None, body: dict[str, object]
    ) -> dict[str, object]:
        timeout = float(str(body.get("wait_timeout_s") or 0)) or None
        error: Failed | None = None
        with anyio.move_on_after(timeout) as limit:
            status = await ticket.settled()
            if status.error is not None:
                return {"error": body_of(status.error)}
            if stack is not None and body.get("wait") == "healthy":
                services = frozenset(body.get("services") or ())  # type: ignore[call-overload]
                ready = await self._controller.ready(stack, services, ticket.since)
                if ready.failed:
                    error = Failed(
                        f"container {ready.container} {ready.failed}",
                        code="not-healthy",
                        about=ready.container,
                        hint=f"`pystack logs {ready.container}` shows what it said",
                    )
            if error is not None:
                return {"error": body_of(error)}
            return {"result": {"changed": status.changed, "warnings": status.warnings}}
        assert limit.cancelled_caught
        late = Failed(
            f"not ready after {timeout:g} s",
            code="wait-timeout",
            about=ticket.loop.name,
            hint="`pystack ps` and `pystack logs` show how far it is; --wait-timeout waits longer",
        )
        return {"error": body_of(late)}

    # -- logs ------------------------------------------------------------------------------

    async def logs(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        query = request.query
        tail = query.get("tail") or "all"
        chosen = {s for s in (query.get("services") or "").split(",") if s}
        following = flag(request, "follow")
        seen: set[str] = set()
        containers = self._parts.nouns.containers

        def fresh() -> list[Container] | None:
            found = [
                c
                for c in containers.labelled(labels.PROJECT, name)
                if c.id not in seen and (not chosen or c.spec.labels.get(labels.SERVICE) in chosen)
            ]
            return found or None

        async with json_lines(request) as lines:

            async def tell(container: Container) -> None:
                own = container.spec.labels
                async for line in container_lines(
                    self._parts,
                    container,
                    lines=int(tail) if tail.isdigit() else None,
                    since=float(query.get("since") or 0),
                    following=following,
                ):
                    await lines.send(
                        {
                            "container": container.name,
                            "service": own.get(labels.SERVICE, ""),
                            "number": int(own.get(labels.NUMBER) or 0),
                            "stream": "stderr" if line.stream in (2, "stderr") else "stdout",
                            "time": line.time,
                            "line": line.text.decode(errors="replace"),
                        }
                    )

            async with anyio.create_task_group() as tasks:
                while True:
                    found = await containers.changes.until(fresh) if following else fresh()
                    for container in found or ():
                        seen.add(container.id)
                        tasks.start_soon(tell, container)
                    if not following:
                        break
        return lines.response


def _converted(value: object, kind: type[_T]) -> _T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            f"malformed {kind.__name__.lower()}: {error}",
            code="bad-request",
            about="body",
            hint="the client and the engine may be of different versions; `pystack version` tells",
        ) from error
