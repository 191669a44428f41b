"""`ps` of all containers."""

from __future__ import annotations

import argparse
import json

from orchestrator.cli import containers
from orchestrator.cli.command import Command
from orchestrator.cli.options import UsageError
from orchestrator.cli.session import Session
from orchestrator.cli.table import table

_HEADINGS = ("CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES")


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-a", "--all", action="store_true", help="those that do not run, too")
    add("-q", "--quiet", action="store_true", help="ids only")
    add("-n", "--last", type=int, default=0, metavar="N", help="the N newest, running or not")
    add("-l", "--latest", action="store_true", help="the newest, running or not")
    add("-s", "--size", action="store_true", help="what they have written")
    add("--no-trunc", action="store_true", help="whole commands and ids")
    add("-f", "--filter", action="append", default=[], metavar="KEY=VALUE", help="which ones")
    add("--format", choices=("table", "json"), default="table", help="how to print it")


def _ps(session: Session, args: argparse.Namespace) -> int:
    last = 1 if args.latest else args.last
    query: dict[str, object] = {
        "all": args.all or last > 0,
        "limit": last or None,
        "size": args.size,
        "filters": json.dumps(filters(args.filter)) if args.filter else "",
    }
    found = session.engine.get("/containers/json", **query) or []
    found.sort(key=lambda container: -float(container.get("Created") or 0))
    if last:
        found = found[:last]
    if args.quiet:
        for container in found:
            session.say(containers.identifier(container, whole=args.no_trunc))
    elif args.format == "json":
        for container in found:
            session.say(json.dumps(container))
    else:
        _table(session, args, found)
    return 0


def _table(session: Session, args: argparse.Namespace, found: list[dict[str, object]]) -> None:
    rows = [
        (
            containers.identifier(c, whole=args.no_trunc),
            containers.image(c, whole=args.no_trunc),
            containers.command(c, whole=args.no_trunc),
            containers.created(c),
            str(c.get("Status", "")),
            containers.ports(c),
            containers.name(c),
            *([containers.written(c)] if args.size else []),
        )
        for c in found
    ]
    for line in table((*_HEADINGS, *(["SIZE"] if args.size else [])), rows):
        session.say(line)


def filters(texts: list[str]) -> dict[str, list[str]]:
    """Docker's `filters` of `KEY=VALUE`, several of them; values of one key are alternatives.

    Raises: UsageError: one has no `=`.
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        key, given, value = text.partition("=")
        if not given:
            raise UsageError(f"--filter {text}: expected KEY=VALUE")
        found.setdefault(key, []).append(value)
    return found


COMMANDS = {"ps": Command(_arguments, _ps)}
