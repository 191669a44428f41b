"""`network inspect`."""

from __future__ import annotations

import argparse

from orchestrator.cli.command import Command
from orchestrator.cli.inspect import inspect, inspect_arguments, one
from orchestrator.cli.session import Session


def _arguments(parser: argparse.ArgumentParser) -> None:
    inspect_arguments(parser, "NETWORK")
    parser.add_argument("-v", "--verbose", action="store_true", help="accepted: all is shown")


def _inspect(session: Session, args: argparse.Namespace) -> int:
    return inspect(session, args.names, one(session, "network"), args.format)


COMMANDS = {"inspect": Command(_arguments, _inspect, names="names")}
