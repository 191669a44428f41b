"""`image prune`: images that nothing uses go."""

from __future__ import annotations

import argparse
import json
from typing import Any

from orchestrator.cli.command import Command
from orchestrator.cli.confirm import confirmed
from orchestrator.cli.filters import filters
from orchestrator.cli.session import Session
from orchestrator.cli.units import size

_DANGLING = "This will remove all dangling images."
_EVERY = "This will remove all images without at least one container associated to them."


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-a", "--all", action="store_true", help="those with a name too")
    add("-f", "--force", action="store_true", help="do not ask")
    add("--filter", action="append", default=[], metavar="KEY=VALUE", help="until=24h, label=…")


def _prune(session: Session, args: argparse.Namespace) -> int:
    wanted = filters(args.filter)
    wanted["dangling"] = ["false" if args.all else "true"]
    if not args.force and not confirmed(session, _EVERY if args.all else _DANGLING):
        answer: dict[str, Any] = {}
    else:
        answer = session.engine.post("/images/prune", filters=json.dumps(wanted)) or {}
    if deleted := answer.get("ImagesDeleted"):
        session.say("Deleted Images:")
        for line in deleted:
            for word, value in line.items():
                session.say(f"{word.lower()}: {value}")
        session.say()
    session.say(f"Total reclaimed space: {size(answer.get('SpaceReclaimed') or 0, 4)}")
    return 0


COMMANDS = {"prune": Command(_arguments, _prune)}
