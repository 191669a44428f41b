"""Docker's endpoint for a container's log."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from functools import lru_cache

from aiohttp import web

from orchestrator.api.docker.framing import FRAMED, RAW, frame
from orchestrator.api.docker.requests import flag
from orchestrator.api.gathered import gathering
from orchestrator.api.logs import container_lines
from orchestrator.api.parts import Parts
from orchestrator.errors import Conflict, InvalidInput
from orchestrator.model.observed import Container
from orchestrator.supervisor.logline import LogLine

_NUMBERS = {"stdout": 1, "stderr": 2}


class LogHandlers:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/containers/{id}/logs", self.logs)]

    async def logs(self, request: web.Request) -> web.StreamResponse:
        container = self._parts.nouns.containers.get(request.match_info["id"])
        wanted = {number for name, number in _NUMBERS.items() if flag(request, name)}
        if not wanted:
            raise InvalidInput(
                "bad parameters: you must choose at least one stream",
                code="bad-request",
                about="stdout",
                hint="give stdout=1 or stderr=1",
            )
        check_readable(container)
        tail = request.query.get("tail") or "all"
        lines = container_lines(
            self._parts,
            container,
            lines=int(tail) if tail.isdecimal() else None,
            since=_moment(request, "since"),
            until=_moment(request, "until"),
            following=flag(request, "follow"),
        )
        details = _details(container) if flag(request, "details") else ""
        timestamps, tty = flag(request, "timestamps"), container.spec.tty
        response = web.StreamResponse(headers={"Content-Type": RAW if tty else FRAMED})
        await response.prepare(request)
        async with gathering(response) as out, aclosing(lines):
            async for line in lines:
                number = _NUMBERS[line.stream]
                if number not in wanted:
                    continue
                text = (f"{details} " if details else "").encode() + text_of(line)
                if timestamps:
                    text = stamp(line.time_ns).encode() + b" " + text
                await out.put(text if tty else frame(number, text))
                if out.gone:
                    break
        return response


async def replay(parts: Parts, container: Container) -> AsyncIterator[tuple[int, bytes]]:
    """What the container has said so far, by stream (1 stdout, 2 stderr)."""
    check_readable(container)
    async for line in container_lines(parts, container, lines=None, since=0.0, following=False):
        yield _NUMBERS[line.stream], text_of(line)


def check_readable(container: Container) -> None:
    """Nothing, where the container keeps a log.  Raises: Conflict."""
    if container.spec.log_driver == "none":
        raise Conflict(
            "configured logging driver does not support reading",
            code="log-not-kept",
            about=container.name,
            hint=f"container {container.name} was made with --log-driver none: "
            "attach to it, or make it with another driver",
        )


def text_of(line: LogLine) -> bytes:
    """The bytes that the line was written as: one that has not ended has no newline."""
    return line.text if line.partial else line.text + b"\n"


def stamp(time_ns: int) -> str:
    """RFC 3339 in UTC with all nine digits, so that lines can be told apart."""
    return f"{_second(time_ns // 1_000_000_000)}.{time_ns % 1_000_000_000:09d}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    # Cached, because busy logs have thousands of lines in one second.
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _moment(request: web.Request, name: str) -> float:
    text = request.query.get(name) or "0"
    with suppress(ValueError):
        if math.isfinite(moment := float(text)):
            return moment
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"{name}={text} is no time",
            code="bad-request",
            about=name,
            hint="give Unix seconds, with nanoseconds after a point",
        ) from None


def _details(container: Container) -> str:
    """The variables and labels that the log options name, as Docker shows them before a line.

    Source: Docker's reference, "docker logs", --details; "JSON File logging driver", options.
    """
    spec = container.spec
    found: dict[str, str] = {}
    for option, values in (("labels", spec.labels), ("env", spec.environment)):
        for name in spec.log_options.get(option, "").split(","):
            if name in values:
                found[name] = values[name]
    return ",".join(f"{k}={v}" for k, v in sorted(found.items()))
