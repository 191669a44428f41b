"""`ls`: the stacks the engine knows."""

from __future__ import annotations

import argparse
import json

from orchestrator.cli.command import Command
from orchestrator.cli.session import Session
from orchestrator.cli.table import table

_HEADINGS = ("NAME", "STATUS", "CONFIG FILES")


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-a", "--all", action="store_true", help="stacks without running containers too")
    add("-q", "--quiet", action="store_true", help="names only")
    add("--format", choices=("table", "json"), default="table", help="how to print it")


def _ls(session: Session, args: argparse.Namespace) -> int:
    stacks = session.engine.get("/pystack/v1/stacks") or []
    shown = [s for s in stacks if args.all or "running" in str(s.get("status", ""))]
    if args.quiet:
        for stack in shown:
            session.say(str(stack["name"]))
    elif args.format == "json":
        session.say(json.dumps(shown))
    else:
        rows = [
            (str(s["name"]), str(s.get("status", "")), ",".join(s.get("files") or ()))
            for s in shown
        ]
        for line in table(_HEADINGS, rows):
            session.say(line)
    return 0


COMMANDS = {"ls": Command(_arguments, _ls)}
