"""`version`, `info` and `events`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from orchestrator import __version__
from orchestrator.cli.arguments import moment
from orchestrator.cli.command import Command
from orchestrator.cli.container.ps import filters
from orchestrator.cli.options import UsageError
from orchestrator.cli.session import Session
from orchestrator.cli.stack.follow import timestamp
from orchestrator.cli.table import fields


def _format_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="how to print it"
    )


def _version(session: Session, args: argparse.Namespace) -> int:
    client = {"Version": __version__, "Python": sys.version.partition(" ")[0]}
    if args.format == "json":
        session.say(json.dumps({"Client": client, "Server": session.engine.get("/version")}))
        return 0
    session.say("Client:")
    _say_fields(session, client)
    # An engine that cannot be had is an error, but not before the client's half was told.
    session.stdout.flush()
    engine = session.engine.get("/version")
    session.say()
    session.say("Engine:")
    _say_fields(session, engine)
    return 0


def _info(session: Session, args: argparse.Namespace) -> int:
    info = session.engine.get("/info")
    if args.format == "json":
        session.say(json.dumps(info))
        return 0
    _say_fields(session, info, indent="")
    return 0


def _say_fields(session: Session, value: Mapping[str, Any], indent: str = " ") -> None:
    """Names and values; what has names and values itself is indented under its own."""
    plain = [(name, _text(each)) for name, each in value.items() if not _nested(each)]
    for line in fields(plain, indent):
        session.say(line)
    for name, each in value.items():
        if isinstance(each, dict) and each:
            session.say(f"{indent}{name}:")
            _say_fields(session, each, indent + " ")
        elif _nested(each) and isinstance(each, list):
            session.say(f"{indent}{name}:")
            for item in each:
                session.say(f"{indent} - {_text(item)}")


def _nested(value: Any) -> bool:
    if isinstance(value, list):
        return any(isinstance(each, dict | list) for each in value)
    return isinstance(value, dict)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(each)}" for name, each in value.items())
    if isinstance(value, list):
        return " ".join(_text(each) for each in value)
    return "" if value is None else str(value)


def _events_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--since", default="", metavar="TIME", help="begin there (10m, a date)")
    add("--until", default="", metavar="TIME", help="end there instead of going on")
    add("-f", "--filter", action="append", default=[], metavar="KEY=VALUE", help="which ones")
    add("--format", choices=("text", "json"), default="text", help="how to print them")


def _events(session: Session, args: argparse.Namespace) -> int:
    query: dict[str, object] = {
        "filters": json.dumps(filters(args.filter)) if args.filter else "",
    }
    for key in ("since", "until"):
        text = getattr(args, key)
        try:
            query[key] = moment(text, time.time()) if text else ""
        except ValueError as error:
            raise UsageError(f"--{key} {text}: {error}") from error
    for event in session.engine.lines("GET", "/events", query=query):
        session.say(json.dumps(event) if args.format == "json" else event_line(event))
        session.stdout.flush()
    return 0


def event_line(event: Mapping[str, Any]) -> str:
    """One event as Docker prints it: time, type, action, id and what else is known."""
    actor = event.get("Actor") or {}
    when = float(event.get("timeNano") or 0) / 1e9 or float(event.get("time") or 0)
    attributes = ", ".join(
        f"{name}={value}" for name, value in sorted((actor.get("Attributes") or {}).items())
    )
    words = [timestamp(when), event.get("Type"), event.get("Action"), actor.get("ID")]
    line = " ".join(str(word) for word in words)
    return f"{line} ({attributes})" if attributes else line


COMMANDS = {
    "version": Command(_format_arguments, _version),
    "info": Command(_format_arguments, _info),
    "events": Command(_events_arguments, _events),
}
