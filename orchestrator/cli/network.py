"""`network ls`."""

from __future__ import annotations

import argparse

from orchestrator.cli.command import Command
from orchestrator.cli.session import Session
from orchestrator.cli.table import table

_HEADINGS = ("NETWORK ID", "NAME", "DRIVER", "SCOPE")


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-q", "--quiet", action="store_true", help="ids only")
    parser.add_argument("--no-trunc", action="store_true", help="whole ids")


def _ls(session: Session, args: argparse.Namespace) -> int:
    networks = sorted(session.engine.get("/networks") or [], key=lambda each: str(each["Name"]))
    rows = [
        (
            str(network["Id"]) if args.no_trunc else str(network["Id"])[:12],
            str(network["Name"]),
            str(network.get("Driver", "")),
            str(network.get("Scope", "local")),
        )
        for network in networks
    ]
    lines = [row[0] for row in rows] if args.quiet else table(_HEADINGS, rows)
    for line in lines:
        session.say(line)
    return 0


COMMANDS = {"ls": Command(_arguments, _ls)}
