"""`export`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from orchestrator.cli.command import Command
from orchestrator.cli.container.relay import write
from orchestrator.cli.session import Session
from orchestrator.client.engine import quote
from orchestrator.errors import Failed


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", default="", metavar="FILE", help="instead of stdout")
    parser.add_argument("container", metavar="CONTAINER", help="a name or id")


def _export(session: Session, args: argparse.Namespace) -> int:
    if not args.output and os.isatty(1):
        raise Failed(
            "cowardly refusing to save to a terminal",
            code="stdout-is-terminal",
            about="-o",
            hint="use the -o flag or redirect",
        )
    response = session.engine.open("GET", f"/containers/{quote(args.container)}/export")
    if not args.output:
        for piece in response.pieces():
            write(1, piece)
        return 0
    # Under another name until it is whole: half an archive looks like one.
    half = Path(f"{args.output}.half")
    try:
        with half.open("wb") as file:
            for piece in response.pieces():
                file.write(piece)
        half.rename(args.output)
    finally:
        half.unlink(missing_ok=True)
    return 0


COMMANDS = {"export": Command(_arguments, _export, names="container")}
