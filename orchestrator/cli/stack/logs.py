"""`logs` of a stack."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from orchestrator.cli.arguments import moment
from orchestrator.cli.command import Command
from orchestrator.cli.options import UsageError
from orchestrator.cli.session import Session
from orchestrator.cli.stack import file
from orchestrator.cli.stack.follow import Follower, LogPrinter
from orchestrator.cli.terminal import Terminal


def log_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that the logs of containers and of stacks share."""
    add = parser.add_argument
    add("-f", "--follow", action="store_true", help="go on as lines are written")
    add("-n", "--tail", default="all", metavar="N", help="only the last N lines of each")
    add("-t", "--timestamps", action="store_true", help="lines with their time")
    add("--since", default="", metavar="TIME", help="only lines since then (10m, a date)")
    add("--until", default="", metavar="TIME", help="only lines before then")


def window(args: argparse.Namespace) -> dict[str, str]:
    """`tail`, `since` and `until` as the engine takes them.

    Raises: UsageError: one of them is malformed.
    """
    tail = args.tail
    if tail.startswith("-") and tail[1:].isdigit():
        tail = "all"
    if tail != "all" and not tail.isdigit():
        raise UsageError(f"--tail {tail}: expected a number or all")
    times = {"tail": tail}
    for key in ("since", "until"):
        text = getattr(args, key)
        try:
            times[key] = moment(text, time.time()) if text else ""
        except ValueError as error:
            raise UsageError(f"--{key} {text}: {error}") from error
    return times


def show(session: Session, args: argparse.Namespace, stack: str, services: Sequence[str]) -> None:
    """Print the log of some services of a stack, all when none is named."""
    terminal = Terminal(session.stdout, session.environ)
    terminal.colours = terminal.colours and not getattr(args, "no_color", False)
    printer = LogPrinter(
        terminal,
        prefix=not getattr(args, "no_log_prefix", False),
        timestamps=args.timestamps,
    )
    follower = Follower(session, stack, printer, services=services, **window(args))
    if args.follow:
        follower.follow()
    else:
        follower.rest()


def _arguments(parser: argparse.ArgumentParser) -> None:
    log_arguments(parser)
    parser.add_argument("--no-color", action="store_true", help="plain prefixes")
    parser.add_argument("--no-log-prefix", action="store_true", help="lines without a prefix")
    parser.add_argument("services", nargs="*", metavar="SERVICE", help="only these services")


def _logs(session: Session, args: argparse.Namespace) -> int:
    show(session, args, file.project(session), args.services)
    return 0


COMMANDS = {"logs": Command(_arguments, _logs, names="services")}
