"""`stop`, `start` and `restart` of a stack or of some of its services."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from orchestrator.cli import containers
from orchestrator.cli.arguments import seconds
from orchestrator.cli.command import Command
from orchestrator.cli.progress import TICK_S, board, watch
from orchestrator.cli.session import Session
from orchestrator.cli.stack import file
from orchestrator.cli.terminal import Terminal
from orchestrator.cli.together import together
from orchestrator.client.engine import quote
from orchestrator.errors import NotFound


def change(
    session: Session, stack: str, verb: str, services: Sequence[str], grace_s: float | None
) -> None:
    """Stop, start or restart the stack, or some of its services, with progress on stderr.

    Raises: NotFound(no-such-service): a service has no container.
    """
    if services:
        _change_services(session, stack, verb, services, grace_s)
        return
    for step in ("stop", "start") if verb == "restart" else (verb,):
        body = {"grace_s": grace_s} if step == "stop" else None
        path = f"/pystack/v1/stacks/{quote(stack)}/{step}"
        stream = session.engine.lines("POST", path, body=body, tick_s=TICK_S)
        terminal = Terminal(session.stderr, session.environ)
        result = watch(stream, board(terminal, f"{step} {stack}"))
        for warning in result.get("warnings") or ():
            session.note(f"warning: {warning}")


def _change_services(
    session: Session, stack: str, verb: str, services: Sequence[str], grace_s: float | None
) -> None:
    found = containers.of_stack(session, stack, services)
    for service in services:
        if not any(containers.label(c, containers.SERVICE) == service for c in found):
            raise NotFound(
                f"service {service!r} of stack {stack} has no container",
                code="no-such-service",
                about=service,
                hint=f"pystack -p {stack} ps -a lists them",
            )
    shown = board(Terminal(session.stderr, session.environ), f"{verb} {stack}")
    steps = {"stop": ("stopping", "stopped"), "start": ("starting", "started")}
    under_way, finished = steps.get(verb, ("restarting", "restarted"))

    def one(container: dict[str, Any]) -> None:
        query = {} if verb == "start" else {"t": grace_s}
        session.engine.post(
            f"/containers/{containers.identifier(container, whole=True)}/{verb}", **query
        )

    for container in found:
        shown.update({"subject": f"container {containers.name(container)}", "step": under_way})
    failure: Exception | None = None
    for container, outcome in zip(found, together(one, found), strict=True):
        failed = isinstance(outcome, Exception)
        failure = failure or (outcome if isinstance(outcome, Exception) else None)
        shown.update(
            {
                "subject": f"container {containers.name(container)}",
                "step": "error" if failed else finished,
                "detail": str(outcome) if failed else "",
                "done": True,
            }
        )
    shown.close()
    if failure is not None:
        raise failure


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-t",
        "--timeout",
        type=seconds,
        default=None,
        metavar="SECONDS",
        help="how long containers may take to stop (default: as each says)",
    )
    _names(parser)


def _names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("services", nargs="*", metavar="SERVICE", help="only these services")


def _stop(session: Session, args: argparse.Namespace) -> int:
    change(session, file.project(session), "stop", args.services, args.timeout)
    return 0


def _start(session: Session, args: argparse.Namespace) -> int:
    change(session, file.project(session), "start", args.services, None)
    return 0


def _restart(session: Session, args: argparse.Namespace) -> int:
    change(session, file.project(session), "restart", args.services, args.timeout)
    return 0


COMMANDS = {
    "stop": Command(_arguments, _stop, names="services"),
    "start": Command(_names, _start, names="services"),
    "restart": Command(_arguments, _restart, names="services"),
}
