"""`volume ls` and `volume rm`."""

from __future__ import annotations

import argparse

from orchestrator.cli.command import Command
from orchestrator.cli.outcome import each
from orchestrator.cli.session import Session
from orchestrator.cli.table import table
from orchestrator.client.engine import quote

_HEADINGS = ("DRIVER", "VOLUME NAME")


def _ls_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-q", "--quiet", action="store_true", help="names only")


def _ls(session: Session, args: argparse.Namespace) -> int:
    volumes = (session.engine.get("/volumes") or {}).get("Volumes") or []
    rows = sorted((str(volume.get("Driver", "local")), str(volume["Name"])) for volume in volumes)
    lines = [row[1] for row in rows] if args.quiet else table(_HEADINGS, rows)
    for line in lines:
        session.say(line)
    return 0


def _rm_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--force", action="store_true", help="it is fine if it is gone")
    parser.add_argument("volumes", nargs="+", metavar="VOLUME", help="names")


def _rm(session: Session, args: argparse.Namespace) -> int:
    def remove(name: str) -> None:
        session.engine.delete(f"/volumes/{quote(name)}", force=args.force)
        session.say(name)

    return each(session, args.volumes, remove)


COMMANDS = {
    "ls": Command(_ls_arguments, _ls),
    "rm": Command(_rm_arguments, _rm, names="volumes"),
}
