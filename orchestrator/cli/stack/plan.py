"""`plan` and `diff`: what `up` would do, and what is not as it is wanted."""

from __future__ import annotations

import argparse
import json
from typing import Any

from orchestrator.cli.command import Command
from orchestrator.cli.progress import silent, watch
from orchestrator.cli.session import Session
from orchestrator.cli.stack import file
from orchestrator.cli.stack.request import chosen, up_arguments, up_body
from orchestrator.client.engine import quote

EXIT_CHANGES = 2


def _plan_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the actions as JSON")
    up_arguments(parser)


def _plan(session: Session, args: argparse.Namespace) -> int:
    """0 where nothing is to be done, 2 where something is."""
    return EXIT_CHANGES if _shown(session, args) else 0


def show_plan(session: Session, args: argparse.Namespace) -> int:
    """0 where `up` would do nothing, 2 where it would; printed (`up --dry-run`)."""
    return _plan(session, args)


def _shown(session: Session, args: argparse.Namespace) -> bool:
    stack, loaded = chosen(session, args)
    body = {**up_body(stack, loaded, args), "dry_run": True}
    path = f"/pystack/v1/stacks/{quote(stack.name)}/up"
    result = watch(session.engine.lines("POST", path, body=body), silent())
    return _say(session, result, as_json=getattr(args, "json", False))


def _say(session: Session, result: dict[str, Any], *, as_json: bool) -> bool:
    """Whether the plan has anything to do, once it is printed."""
    for warning in result.get("warnings") or ():
        session.note(f"warning: {warning}")
    lines = result.get("plan") or []
    if as_json:
        session.say(json.dumps(result.get("actions") or [], indent=2))
    elif lines:
        for line in lines:
            session.say(line)
    else:
        session.say("up to date, nothing to change")
    return bool(lines)


def _diff_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the actions as JSON")


def _diff(session: Session, args: argparse.Namespace) -> int:
    """0 where all is as it is wanted, 2 where the engine has something to mend."""
    name = file.project(session)
    drift = session.engine.get(f"/pystack/v1/stacks/{quote(name)}/drift")
    return EXIT_CHANGES if _say(session, drift, as_json=args.json) else 0


COMMANDS = {
    "plan": Command(_plan_arguments, _plan, names="services", short_options=True),
    "diff": Command(_diff_arguments, _diff),
}
