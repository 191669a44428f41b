"""Endpoints that say what is wanted of a stack, and tell how it comes about.

Each answers with JSON lines: progress as it happens, then a result or an error. A client that goes
away undoes nothing.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import msgspec
from aiohttp import web
from anyio.streams.memory import MemoryObjectReceiveStream

from orchestrator.api.docker.requests import json_body
from orchestrator.api.parts import Parts
from orchestrator.api.status import body_of
from orchestrator.api.streams import JsonLines, json_lines
from orchestrator.api.work import worked
from orchestrator.controller.controller import OneOff, Ticket
from orchestrator.controller.plan import CreateContainer, Plan, ReplaceContainer
from orchestrator.controller.wishes import UpOptions
from orchestrator.errors import Failed, InvalidInput
from orchestrator.model.events import Progress, Report
from orchestrator.model.stack import Stack
from orchestrator.state import labels

PREFIX = "/pystack/v1"
_T = TypeVar("_T")


class WishHandlers:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._controller = parts.controller

    def routes(self) -> list[web.RouteDef]:
        one = PREFIX + "/stacks/{name}"
        return [
            web.post(PREFIX + "/shutdown", self.shutdown),
            web.post(one + "/up", self.up),
            web.post(one + "/stop", self.stop),
            web.post(one + "/start", self.start),
            web.post(one + "/restart", self.restart),
            web.post(one + "/down", self.down),
            web.post(one + "/rollback", self.roll_back),
            web.post(one + "/run", self.run),
        ]

    async def shutdown(self, _request: web.Request) -> web.Response:
        self._parts.shutdown()
        return web.Response(status=204)

    async def up(self, request: web.Request) -> web.StreamResponse:
        body = await json_body(request)
        dry_run = bool(body.get("dry_run"))
        stack = self._parts.grants.versioned(
            converted(body.get("stack"), Stack), _contents(body), keep=not dry_run
        )
        with self._parts.grants.held(stack):
            return await self._brought_up(request, body, stack, dry_run=dry_run)

    async def _brought_up(
        self, request: web.Request, body: dict[str, Any], stack: Stack, *, dry_run: bool
    ) -> web.StreamResponse:
        options = _options(body)
        plan = self._controller.plan_up(stack, options)
        await self._check_ports(stack.name, plan)
        async with json_lines(request) as lines:
            await lines.send({"plan": plan.lines()})
            if dry_run:
                await lines.send({"result": planned(plan)})
                return lines.response
            async with self._controller.progress(stack.name) as progress:
                ticket = self._controller.up(stack, options)
                await self._told(lines, ticket, progress, stack, body)
        return lines.response

    async def _check_ports(self, name: str, plan: Plan) -> None:
        """Nothing, when nobody else has a port of a container that the plan makes: to be known
        before anything is changed.  Raises: Conflict: port-in-use, saying by whom."""
        nouns = self._parts.nouns
        made = (a for a in plan.actions if isinstance(a, CreateContainer | ReplaceContainer))
        own = {c.id for c in nouns.containers.labelled(labels.PROJECT, name)}
        await nouns.networks.publishing.check_wishes({a.name: a.spec for a in made}, own)

    async def stop(self, request: web.Request) -> web.StreamResponse:
        return await self._wished(
            request,
            lambda name, body: self._controller.stop(name, _services(body), body.get("grace_s")),
        )

    async def start(self, request: web.Request) -> web.StreamResponse:
        return await self._wished(
            request, lambda name, body: self._controller.start(name, _services(body))
        )

    async def restart(self, request: web.Request) -> web.StreamResponse:
        return await self._wished(
            request,
            lambda name, body: self._controller.restart(name, _services(body), body.get("grace_s")),
        )

    async def roll_back(self, request: web.Request) -> web.StreamResponse:
        return await self._wished(
            request, lambda name, body: self._controller.roll_back(name, int(body.get("to") or 0))
        )

    async def run(self, request: web.Request) -> web.StreamResponse:
        """A one-off container of a service, made; the client starts it."""
        body = await json_body(request)
        stack = self._parts.grants.versioned(
            converted(body.get("stack"), Stack), _contents(body), keep=True
        )
        service = stack.service(str(body.get("service") or ""))
        if service is None:
            raise InvalidInput(
                f"stack {stack.name} has no service {body.get('service')}",
                code="no-such-service",
                about=stack.name,
                hint="name one of its services",
            )
        options = OneOff(
            name=str(body.get("name") or ""),
            auto_remove=bool(body.get("auto_remove")),
            refresh=bool(body.get("build")) or body.get("pull") == "always",
        )

        async def work(report: Report) -> dict[str, object]:
            made = await self._controller.one_off(stack, service, options, report)
            return {"id": made.id}

        with self._parts.grants.held(stack):
            return await worked(request, work)

    async def _wished(
        self, request: web.Request, wish: Callable[[str, dict[str, Any]], Ticket]
    ) -> web.StreamResponse:
        name = request.match_info["name"]
        self._controller.record(name)
        body = await json_body(request)
        async with json_lines(request) as lines, self._controller.progress(name) as progress:
            # Asked for within the stream: what is refused now is told as a line too.
            ticket = wish(name, body)
            await self._told(lines, ticket, progress)
        return lines.response

    async def down(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        body = await json_body(request)
        stack = converted(body["stack"], Stack) if body.get("stack") else None
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
            self._parts.grants.collect()
        return lines.response

    async def _told(
        self,
        lines: JsonLines,
        ticket: Ticket,
        progress: MemoryObjectReceiveStream[Progress],
        stack: Stack | None = None,
        body: dict[str, Any] | None = None,
    ) -> None:
        """Nothing, once the wish is settled and the client was told all of it."""

        async def tell() -> None:
            async for step in progress:
                await lines.send({"progress": step})

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tell)
            last = await self._settled(ticket, stack, body or {})
            # What was reported before the end is told before the end.
            while progress.statistics().current_buffer_used:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        await lines.send(last)

    async def _settled(
        self, ticket: Ticket, stack: Stack | None, body: dict[str, Any]
    ) -> dict[str, object]:
        timeout = float(body.get("wait_timeout_s") or 0) or None
        with anyio.move_on_after(timeout):
            status = await ticket.settled()
            if status.error is not None:
                return {"error": body_of(status.error)}
            if stack is not None and body.get("wait") == "healthy":
                ready = await self._controller.ready(stack, _services(body), ticket.since)
                if ready.failed:
                    unhealthy = Failed(
                        f"container {ready.container} {ready.failed}",
                        code="not-healthy",
                        about=ready.container,
                        hint=f"`pystack logs {ready.container}` shows what it said",
                    )
                    return {"error": body_of(unhealthy)}
            return {"result": {"changed": status.changed, "warnings": status.warnings}}
        late = Failed(
            f"not ready after {timeout:g} s",
            code="wait-timeout",
            about=ticket.loop.name,
            hint="`pystack ps` and `pystack logs` show how far it is; --wait-timeout waits longer",
        )
        return {"error": body_of(late)}


def _services(body: dict[str, Any]) -> frozenset[str]:
    return frozenset(body.get("services") or ())


def _options(body: dict[str, Any]) -> UpOptions:
    flags = (
        "build", "no_build", "recreate_deps", "renew_volumes", "remove_orphans", "no_deps",
        "no_start", "ignore_orphans",
    )  # fmt: skip
    return UpOptions(
        pull=str(body.get("pull") or ""),
        recreate=str(body.get("recreate") or "diverged"),
        grace_s=body.get("grace_s"),
        services=tuple(body.get("services") or ()),
        **{flag: bool(body.get(flag)) for flag in flags},
    )


def planned(plan: Plan) -> dict[str, object]:
    """A plan that is only to be shown."""
    return {
        "changed": len(plan.actions),
        "warnings": plan.warnings,
        "plan": plan.lines(),
        "actions": [action.summary() for action in plan.actions],
    }


def _contents(body: dict[str, Any]) -> dict[str, bytes]:
    try:
        return {
            source: b64decode(text, validate=True)
            for source, text in (body.get("contents") or {}).items()
        }
    except (Base64Error, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"malformed contents: {error}",
            code="bad-request",
            about="contents",
            hint="they are base64, by source",
        ) from error


def converted(value: object, kind: type[_T]) -> _T:
    """The value of a request's body as one of the model.  Raises: InvalidInput."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            f"malformed {kind.__name__.lower()}: {error}",
            code="bad-request",
            about="body",
            hint="the client and the engine may be of different versions; `pystack version` tells",
        ) from error
