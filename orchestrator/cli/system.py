"""`events`: what happened and what happens."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.cli.arguments import moment
from orchestrator.cli.command import Command
from orchestrator.cli.filters import encoded, filter_argument
from orchestrator.cli.options import UsageError
from orchestrator.cli.session import Session

_NS = 1_000_000_000


def _events_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--since", default="", metavar="TIME", help="begin there (10m, a date)")
    add("--until", default="", metavar="TIME", help="end there instead of going on")
    filter_argument(parser)
    add("--format", default="", metavar="FORMAT", help="json or a Go template: '{{.Action}}'")


def _events(session: Session, args: argparse.Namespace) -> int:
    line = _printer(args.format)
    query: dict[str, object] = {"filters": encoded(args.filter)}
    for key in ("since", "until"):
        text = getattr(args, key)
        try:
            query[key] = moment(text, time.time()) if text else ""
        except ValueError as error:
            raise UsageError(f"--{key} {text}: {error}") from error
    for event in session.engine.lines("GET", "/events", query=query):
        session.say(line(event))
        session.stdout.flush()
    return 0


def _printer(form: str) -> Callable[[Mapping[str, Any]], str]:
    """How an event is printed.  Raises: TemplateError."""
    if not form:
        return event_line
    if form == "json":
        return lambda event: json.dumps(event, separators=(",", ":"), ensure_ascii=False)
    from orchestrator.cli.format import Format  # noqa: PLC0415

    shape = Format(form)
    # Those that have no subject of the old kind have empty ones.
    return lambda event: shape.line({"status": "", "id": "", "from": "", **event})


def event_line(event: Mapping[str, Any]) -> str:
    """One event as Docker prints it: time, type, action, id and what else is known."""
    actor = event.get("Actor") or {}
    attributes = ", ".join(
        f"{name}={value}" for name, value in sorted((actor.get("Attributes") or {}).items())
    )
    nanoseconds = int(event.get("timeNano") or 0) or int(event.get("time") or 0) * _NS
    words = [_moment(nanoseconds), event.get("Type"), event.get("Action"), actor.get("ID")]
    line = " ".join(str(word) for word in words)
    return f"{line} ({attributes})" if attributes else line


def _moment(nanoseconds: int) -> str:
    """RFC 3339 with nanoseconds, in this machine's zone."""
    seconds, rest = divmod(nanoseconds, _NS)
    local = time.localtime(seconds)
    offset = time.strftime("%z", local)
    zone = f"{offset[:3]}:{offset[3:]}" if local.tm_gmtoff else "Z"
    return time.strftime("%Y-%m-%dT%H:%M:%S", local) + f".{rest:09d}{zone}"


COMMANDS = {"events": Command(_events_arguments, _events)}
