"""`down`: stop the stack and remove what belongs to it."""

from __future__ import annotations

import argparse

from orchestrator.cli.arguments import seconds
from orchestrator.cli.command import Command
from orchestrator.cli.progress import TICK_S, board, watch
from orchestrator.cli.session import Session
from orchestrator.cli.stack import file
from orchestrator.cli.terminal import Terminal
from orchestrator.client.engine import quote
from orchestrator.compose.told import told_to


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-v", "--volumes", action="store_true", help="remove the stack's volumes too")
    add(
        "-t",
        "--timeout",
        type=seconds,
        default=None,
        metavar="SECONDS",
        help="how long containers may take to stop (default: as each says)",
    )
    add("--remove-orphans", action="store_true", help="remove containers of services gone, too")


def _down(session: Session, args: argparse.Namespace) -> int:
    name = file.project(session)
    body = {
        "volumes": args.volumes,
        "grace_s": args.timeout,
        "remove_orphans": args.remove_orphans or told_to(session.environ, "REMOVE_ORPHANS"),
    }
    path = f"/pystack/v1/stacks/{quote(name)}/down"
    stream = session.engine.lines("POST", path, body=body, tick_s=TICK_S)
    shown = board(Terminal(session.stderr, session.environ), f"down {name}")
    result = watch(stream, shown)
    warnings = result.get("warnings") or ()
    for warning in warnings:
        session.note(f"warning: {warning}")
    if result.get("changed") == 0 and not warnings:
        session.note(f"nothing to remove for stack {name}")
    return 0


COMMANDS = {"down": Command(_arguments, _down, short_options=True)}
