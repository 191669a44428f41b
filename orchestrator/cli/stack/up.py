"""`up` and `plan`: send the stack, show it come up, follow its logs, stop it at Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.cli.command import Command
from orchestrator.cli.options import UsageError
from orchestrator.cli.progress import TICK_S, board, watch
from orchestrator.cli.session import Session
from orchestrator.cli.stack import file
from orchestrator.cli.stack.follow import Follower, LogPrinter
from orchestrator.cli.terminal import Terminal
from orchestrator.client.engine import quote
from orchestrator.errors import InvalidInput

if TYPE_CHECKING:
    from orchestrator.model.stack import Stack

_EXIT_INTERRUPTED = 130


def _up_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-d", "--detach", action="store_true", help="return when everything runs")
    add("--wait", action="store_true", help="return when everything is healthy")
    add("--wait-timeout", type=float, default=0.0, metavar="SECONDS", help="wait no longer")
    add("--no-color", action="store_true", help="plain log prefixes")
    add("--no-log-prefix", action="store_true", help="log lines without a prefix")
    add("--timestamps", action="store_true", help="log lines with their time")
    add("--dry-run", action="store_true", help="print what would be done, and why")
    _plan_arguments(parser)


def _plan_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--build", action="store_true", help="build images even if they exist")
    add("--pull", choices=("always", "missing", "never"), default="", help="when to pull images")
    add("--force-recreate", action="store_true", help="recreate containers that are up to date")
    add("--no-recreate", action="store_true", help="leave existing containers as they are")
    add("--remove-orphans", action="store_true", help="remove containers of services gone")
    add("--scale", action="append", default=[], metavar="SERVICE=N", help="how many containers")
    add("services", nargs="*", metavar="SERVICE", help="only these, and what they depend on")


def _plan(session: Session, args: argparse.Namespace) -> int:
    stack = _stack(session, args)
    result = watch(_request(session, stack, _body(stack, args, dry_run=True)), _board(session, ""))
    lines = result.get("plan") or []
    for line in lines:
        session.say(line)
    if not lines:
        session.say("up to date, nothing to change")
    return 0


def _up(session: Session, args: argparse.Namespace) -> int:
    if args.dry_run:
        return _plan(session, args)
    stack = _stack(session, args)
    if args.detach or args.wait:
        return _detached(session, stack, args)
    # SIGTERM means what Ctrl-C does: stop the stack, then go.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _attached(session, stack, args)
    finally:
        signal.signal(signal.SIGTERM, before)


def _detached(session: Session, stack: Stack, args: argparse.Namespace) -> int:
    try:
        _bring_up(session, stack, args)
    except KeyboardInterrupt:
        session.note("")
        session.note(
            f"the engine goes on without this command; pystack -p {stack.name} down ends it"
        )
        return _EXIT_INTERRUPTED
    return 0


def _attached(session: Session, stack: Stack, args: argparse.Namespace) -> int:
    terminal = Terminal(session.stdout, session.environ)
    terminal.colours = terminal.colours and not args.no_color
    printer = LogPrinter(
        terminal, _names(stack), prefix=not args.no_log_prefix, timestamps=args.timestamps
    )
    since = f"{time.time():.6f}"
    follower = Follower(session, stack.name, printer, since=since, services=args.services)
    try:
        _bring_up(session, stack, args)
        follower.follow()
    except KeyboardInterrupt:
        _stop(session, stack.name)
        # The last words of what was stopped.
        follower.rest()
        return _EXIT_INTERRUPTED
    return 0


def _stack(session: Session, args: argparse.Namespace) -> Stack:
    if args.force_recreate and args.no_recreate:
        raise UsageError("--force-recreate and --no-recreate exclude each other")
    stack = file.load(session)
    for name in args.services:
        if stack.service(name) is None:
            raise _no_service(stack, name)
    for text in args.scale:
        stack = _scaled(stack, text)
    return stack


def _scaled(stack: Stack, text: str) -> Stack:
    name, _, number = text.partition("=")
    if not number.isdigit():
        raise UsageError(f"--scale {text}: expected SERVICE=NUMBER")
    if stack.service(name) is None:
        raise _no_service(stack, name)
    services = tuple(
        replace(service, scale=int(number)) if service.name == name else service
        for service in stack.services
    )
    return replace(stack, services=services)


def _no_service(stack: Stack, name: str) -> InvalidInput:
    return InvalidInput(
        f"stack {stack.name} has no service {name!r}",
        code="no-such-service",
        about=name,
        hint=f"its services are {', '.join(service.name for service in stack.services)}",
    )


def _names(stack: Stack) -> list[str]:
    return [
        f"{service.name}-{number}"
        for service in stack.services
        for number in range(1, service.scale + 1)
    ]


def _body(stack: Stack, args: argparse.Namespace, *, dry_run: bool) -> dict[str, Any]:
    healthy = bool(getattr(args, "wait", False))
    recreate = "force" if args.force_recreate else "never" if args.no_recreate else "diverged"
    return {
        "stack": file.as_json(stack),
        "build": args.build,
        "pull": args.pull,
        "recreate": recreate,
        "dry_run": dry_run,
        "wait": "healthy" if healthy else "running",
        "wait_timeout_s": getattr(args, "wait_timeout", 0.0),
        "remove_orphans": args.remove_orphans,
        "services": args.services,
    }


def _request(session: Session, stack: Stack, body: dict[str, Any]) -> Any:
    path = f"/pystack/v1/stacks/{quote(stack.name)}/up"
    return session.engine.lines("POST", path, body=body, tick_s=TICK_S)


def _board(session: Session, title: str) -> Any:
    return board(Terminal(session.stderr, session.environ), title)


def _bring_up(session: Session, stack: Stack, args: argparse.Namespace) -> None:
    body = _body(stack, args, dry_run=False)
    result = watch(_request(session, stack, body), _board(session, f"up {stack.name}"))
    for warning in result.get("warnings") or ():
        session.note(f"warning: {warning}")
    if result.get("changed") == 0:
        session.note("up to date, nothing to change")


def _stop(session: Session, name: str) -> None:
    """Stop the stack, by its own grace first; without any at a second Ctrl-C."""
    session.note("")
    session.note("stopping; press Ctrl-C again to stop at once")
    try:
        _stop_request(session, name, None)
    except KeyboardInterrupt:
        _stop_request(session, name, 0.0)


def _stop_request(session: Session, name: str, grace_s: float | None) -> None:
    path = f"/pystack/v1/stacks/{quote(name)}/stop"
    stream = session.engine.lines("POST", path, body={"grace_s": grace_s}, tick_s=TICK_S)
    watch(stream, _board(session, f"stop {name}"))


COMMANDS = {
    "up": Command(_up_arguments, _up, names="services", short_options=True),
    "plan": Command(_plan_arguments, _plan, names="services", short_options=True),
}
