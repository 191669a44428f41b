"""`commit`."""

from __future__ import annotations

import argparse

from orchestrator.cli.arguments import yes_or_no
from orchestrator.cli.command import Command
from orchestrator.cli.session import Session


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-a", "--author", default="", metavar="AUTHOR", help="who made it")
    add("-c", "--change", action="append", default=[], metavar="INSTRUCTION", help="CMD, ENV, …")
    add("-m", "--message", default="", metavar="TEXT", help="a comment for its history")
    add(
        "-p",
        "--pause",
        type=yes_or_no,
        nargs="?",
        const=True,
        default=True,
        metavar="BOOL",
        help="hold the container still meanwhile (the default)",
    )
    add("container", metavar="CONTAINER", help="a name or id")
    add("image", nargs="?", default="", metavar="NAME[:TAG]", help="the image's name")


def _commit(session: Session, args: argparse.Namespace) -> int:
    made = session.engine.post(
        "/commit",
        container=args.container,
        repo=args.image,
        comment=args.message,
        author=args.author,
        pause="1" if args.pause else "0",
        changes="\n".join(args.change),
    )
    session.say(str(made["Id"]))
    return 0


COMMANDS = {"commit": Command(_arguments, _commit, names="container")}
