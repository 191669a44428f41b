"""`logs` of containers."""

from __future__ import annotations

import argparse
import os

from orchestrator.cli.command import Command
from orchestrator.cli.container.services import stack_with
from orchestrator.cli.options import UsageError
from orchestrator.cli.session import Session
from orchestrator.cli.stack.logs import log_arguments, show, window
from orchestrator.client.engine import quote
from orchestrator.client.frames import STDERR, Frames
from orchestrator.errors import NotFound


def _arguments(parser: argparse.ArgumentParser) -> None:
    log_arguments(parser)
    parser.add_argument("containers", nargs="*", metavar="CONTAINER", help="a name or id")


def _logs(session: Session, args: argparse.Namespace) -> int:
    first = args.containers[0] if args.containers else ""
    if not first:
        raise UsageError("container logs needs a container")
    try:
        found = session.engine.get(f"/containers/{quote(first)}/json")
    except NotFound:
        # Services then, and several at once make sense.
        stack = stack_with(session, first)
        if not stack:
            raise
        show(session, args, stack, args.containers)
        return 0
    if len(args.containers) > 1:
        raise UsageError("logs takes one container, or services of a stack")
    _print(session, args, str(found["Id"]), tty=bool((found.get("Config") or {}).get("Tty")))
    return 0


def _print(session: Session, args: argparse.Namespace, container: str, *, tty: bool) -> None:
    query: dict[str, object] = {
        "stdout": True,
        "stderr": True,
        "follow": args.follow,
        "timestamps": args.timestamps,
        **window(args),
    }
    response = session.engine.open("GET", f"/containers/{container}/logs", query=query)
    frames = Frames()
    for piece in response.pieces():
        parts = [(1, piece)] if tty else frames.feed(piece)
        for stream, content in parts:
            # Bytes as they are: a log need not be text.
            rest = content
            while rest:
                rest = rest[os.write(2 if stream == STDERR else 1, rest) :]


COMMANDS = {"logs": Command(_arguments, _logs, names="containers")}
