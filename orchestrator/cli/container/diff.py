"""`diff`."""

from __future__ import annotations

import argparse

from orchestrator.cli.command import Command
from orchestrator.cli.session import Session
from orchestrator.client.engine import quote

_KINDS = "CAD"


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("container", metavar="CONTAINER", help="a name or id")


def _diff(session: Session, args: argparse.Namespace) -> int:
    for change in session.engine.get(f"/containers/{quote(args.container)}/changes") or ():
        session.say(f"{_KINDS[change['Kind']]} {change['Path']}")
    return 0


COMMANDS = {"diff": Command(_arguments, _diff, names="container")}
