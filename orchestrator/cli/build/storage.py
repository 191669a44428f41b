"""`builder du` and `builder prune`: the build cache, and its end."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from orchestrator.cli.arguments import byte_count
from orchestrator.cli.command import Command
from orchestrator.cli.confirm import confirmed
from orchestrator.cli.filters import encoded, filters
from orchestrator.cli.session import Session
from orchestrator.cli.table import table
from orchestrator.cli.units import size
from orchestrator.client.engine import value_of
from orchestrator.model.ages import ago

_HEADINGS = ("ID", "RECLAIMABLE", "SIZE", "LAST ACCESSED")
_LOOSE = "This will remove all dangling build cache."
_ALL = "This will remove all build cache."


def _du_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--verbose", action="store_true", help="everything known of each entry")
    add("--filter", action="append", default=[], metavar="KEY=VALUE", help="id=…, type=…")
    add("--format", default="", choices=("", "json"), help="json: one object a line")


def _du(session: Session, args: argparse.Namespace) -> int:
    entries = (session.engine.get("/system/df", type="build-cache") or {}).get("BuildCache") or []
    wanted = filters(args.filter)
    entries = [e for e in entries if _passes(e, wanted)]
    if args.format == "json":
        for entry in entries:
            session.say(json.dumps(entry))
        return 0
    if args.verbose:
        for entry in entries:
            for name, value in entry.items():
                session.say(f"{name + ':':<15} {value}")
            session.say()
    else:
        for line in table(_HEADINGS, [_row(entry) for entry in entries]):
            session.say(line)
    total = sum(entry.get("Size") or 0 for entry in entries)
    freed = sum(entry.get("Size") or 0 for entry in entries if _reclaimable(entry))
    session.say(f"Shared:         {size(sum(e['Size'] for e in entries if e.get('Shared')))}")
    session.say(f"Reclaimable:    {size(freed)}")
    session.say(f"Total:          {size(total)}")
    return 0


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    from datetime import datetime  # noqa: PLC0415

    used = str(entry.get("LastUsedAt") or "")
    try:
        last = f"{ago(time.time() - datetime.fromisoformat(used).timestamp())} ago"
    except ValueError:
        last = ""
    shared = "*" if entry.get("Shared") else ""
    return (
        str(entry.get("ID")),
        "true" if _reclaimable(entry) else "false",
        size(entry.get("Size") or 0) + shared,
        last,
    )


def _reclaimable(entry: dict[str, Any]) -> bool:
    return not entry.get("InUse") and not entry.get("Shared")


def _passes(entry: dict[str, Any], filters: dict[str, list[str]]) -> bool:
    names = {"id": "ID", "type": "Type", "inuse": "InUse", "shared": "Shared"}
    return all(
        str(entry.get(names.get(name, name), "")).lower() in [v.lower() for v in values]
        for name, values in filters.items()
    )


def _prune_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-a", "--all", action="store_true", help="what images share with it too")
    add("-f", "--force", action="store_true", help="do not ask")
    add("--filter", action="append", default=[], metavar="KEY=VALUE", help="until=24h, id=…")
    for name in ("--keep-storage", "--reserved-space", "--max-used-space"):
        add(name, type=byte_count, default=0, metavar="BYTES", help="how much may stay")
    add("--verbose", action="store_true", help=argparse.SUPPRESS)


def _prune(session: Session, args: argparse.Namespace) -> int:
    answer: dict[str, Any] = {}
    if args.force or confirmed(session, _ALL if args.all else _LOOSE):
        kept = max(args.keep_storage, args.reserved_space, args.max_used_space)
        query: dict[str, Any] = {"all": args.all, "filters": encoded(args.filter)}
        if kept:
            query["keep-storage"] = kept
        answer = value_of(session.engine.open("POST", "/build/prune", query=query)) or {}
    for identifier in answer.get("CachesDeleted") or ():
        session.say(identifier)
    session.say(f"Total reclaimed space: {size(answer.get('SpaceReclaimed') or 0)}")
    return 0


COMMANDS = {"du": Command(_du_arguments, _du), "prune": Command(_prune_arguments, _prune)}
