"""`ls`: the stacks the engine knows."""

from __future__ import annotations

import argparse
import json

from orchestrator.cli.columns import Column, Columns, Shown
from orchestrator.cli.command import Command
from orchestrator.cli.options import UsageError
from orchestrator.cli.session import Session

_COLUMNS = Columns(
    Column("Name", "NAME", lambda s: str(s["name"])),
    Column("Status", "STATUS", lambda s: str(s.get("status", ""))),
    Column("ConfigFiles", "CONFIG FILES", lambda s: ",".join(s.get("files") or ())),
    table=("Name", "Status", "ConfigFiles"),
    quiet="Name",
)


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-a", "--all", action="store_true", help="stacks without running containers too")
    add("-q", "--quiet", action="store_true", help="names only")
    add("--filter", action="append", default=[], metavar="name=TEXT", help="only these")
    add("--format", default="", metavar="FORMAT", help="table, json or a Go template")


def _ls(session: Session, args: argparse.Namespace) -> int:
    shown = Shown(_COLUMNS, args.format, quiet=args.quiet)
    stacks = session.engine.get("/pystack/v1/stacks") or []
    chosen = [s for s in stacks if args.all or "running" in str(s.get("status", ""))]
    for text in args.filter:
        key, _, value = text.partition("=")
        if key != "name":
            raise UsageError(f"--filter {text}: expected name=TEXT")
        chosen = [s for s in chosen if value in str(s["name"])]
    if args.format == "json":
        fields = [
            {
                "Name": s["name"],
                "Status": s.get("status", ""),
                "ConfigFiles": ",".join(s.get("files") or ()),
            }
            for s in chosen
        ]
        session.say(json.dumps(fields))
    else:
        shown.say(session, chosen)
    return 0


COMMANDS = {"ls": Command(_arguments, _ls)}
