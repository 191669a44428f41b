"""`history`, `rollback` and `why`: what was wanted of a stack, going back to it, and what happened
to a service and by what cause."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from typing import Any

from orchestrator.cli.arguments import moment
from orchestrator.cli.command import Command
from orchestrator.cli.options import UsageError
from orchestrator.cli.session import Session
from orchestrator.cli.stack import file
from orchestrator.cli.stack.wish import wish
from orchestrator.cli.table import table
from orchestrator.client.engine import quote
from orchestrator.model.ages import ago


def _history_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")


def _history(session: Session, args: argparse.Namespace) -> int:
    path = f"/pystack/v1/stacks/{quote(file.project(session))}/revisions"
    found = session.engine.get(path) or []
    if args.json:
        session.say(json.dumps(found, indent=2))
        return 0
    rows = [
        (
            str(revision["number"]),
            f"{ago(time.time() - float(revision['at']))} ago",
            revision["cause"],
            ", ".join(revision["changes"]) or "-",
        )
        for revision in reversed(found)
    ]
    for line in table(("REVISION", "WHEN", "CAUSE", "CHANGES"), rows):
        session.say(line)
    return 0


def _rollback_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "revision", nargs="?", type=int, default=0, metavar="N", help="the one before, unless said"
    )


def _rollback(session: Session, args: argparse.Namespace) -> int:
    name = file.project(session)
    result = wish(session, name, "rollback", {"to": args.revision})
    if result.get("changed") == 0:
        session.note("up to date, nothing to change")
    return 0


def _why_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--since", default="", metavar="TIME", help="begin there (10m, a date)")
    add("--json", action="store_true", help="the events as JSON lines")
    add("service", nargs="?", default="", metavar="SERVICE", help="only this service")


def _why(session: Session, args: argparse.Namespace) -> int:
    try:
        since = moment(args.since, time.time()) if args.since else ""
    except ValueError as error:
        raise UsageError(f"--since {args.since}: {error}") from error
    name = file.project(session)
    path = f"/pystack/v1/stacks/{quote(name)}/why"
    for event in session.engine.get(path, service=args.service, since=since) or ():
        session.say(json.dumps(event) if args.json else _told(event))
    return 0


def _told(event: Mapping[str, Any]) -> str:
    """One event in words: when, what, and by what cause."""
    actor = event.get("Actor") or {}
    said = actor.get("Attributes") or {}
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(event.get("time") or 0)))
    action = str(event.get("Action", ""))
    if event.get("Type") == "stack":
        return f"{when}  {_of_stack(action, said)}"
    return f"{when}  {said.get('name', actor.get('ID', ''))} {_of_container(action, said)}"


def _of_stack(action: str, said: Mapping[str, str]) -> str:
    why = f": {said['why']}" if said.get("why") else ""
    match action:
        case "action":
            return f"  {said.get('action', '')}{why}"
        case "repair":
            return f"  repaired: {said.get('action', '')}{why}"
        case "update-rollback":
            return f"the update of {said.get('service', '')} is rolled back{why}"
        case "update-pause":
            return f"the update of {said.get('service', '')} is paused{why}"
        case _:
            return f"asked for: {action}"


def _of_container(action: str, said: Mapping[str, str]) -> str:
    match action:
        case "die":
            return f"ended with exit code {said.get('exitCode', '?')}"
        case "oom":
            return "was killed, as it took more memory than it may"
        case "kill":
            return f"got signal {said.get('signal', '?')}"
        case _:
            words = {"create": "was made", "start": "was started", "destroy": "was removed",
                     "stop": "was stopped", "restart": "was started anew"}  # fmt: skip
            return words.get(action, action)


COMMANDS = {
    "history": Command(_history_arguments, _history),
    "rollback": Command(_rollback_arguments, _rollback),
    "why": Command(_why_arguments, _why),
}
