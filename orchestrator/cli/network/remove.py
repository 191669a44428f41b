"""`network rm` and `network prune`."""

from __future__ import annotations

import argparse

from orchestrator.cli.command import Command
from orchestrator.cli.confirm import confirmed
from orchestrator.cli.filters import encoded
from orchestrator.cli.outcome import each
from orchestrator.cli.prune import prune_arguments
from orchestrator.cli.session import Session
from orchestrator.client.engine import quote
from orchestrator.errors import NotFound

_WARNING = "This will remove all custom networks not used by at least one container."


def _rm_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--force", action="store_true", help="it is fine if it is gone")
    parser.add_argument("networks", nargs="+", metavar="NETWORK", help="names or ids")


def _rm(session: Session, args: argparse.Namespace) -> int:
    def remove(name: str) -> None:
        try:
            session.engine.delete(f"/networks/{quote(name)}")
        except NotFound:
            if not args.force:
                raise
        else:
            session.say(name)

    return each(session, args.networks, remove)


def _prune(session: Session, args: argparse.Namespace) -> int:
    if not args.force and not confirmed(session, _WARNING):
        return 0
    answer = session.engine.post("/networks/prune", filters=encoded(args.filter)) or {}
    if removed := answer.get("NetworksDeleted"):
        session.say("Deleted Networks:")
        for name in removed:
            session.say(str(name))
        session.say()
    return 0


COMMANDS = {
    "rm": Command(_rm_arguments, _rm, names="networks"),
    "prune": Command(prune_arguments, _prune),
}
