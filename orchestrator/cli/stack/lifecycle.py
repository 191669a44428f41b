"""`stop`, `start`, `restart`, `create` and `scale` of a stack or of some of its services."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from orchestrator.cli.arguments import seconds
from orchestrator.cli.command import Command
from orchestrator.cli.options import UsageError
from orchestrator.cli.session import Session
from orchestrator.cli.stack import file
from orchestrator.cli.stack.request import chosen, request_arguments, scaled, up_body
from orchestrator.cli.stack.wish import sent, wish


def change(
    session: Session, stack: str, verb: str, services: Sequence[str], grace_s: float | None
) -> None:
    """Stop, start or restart the stack, or some of its services, with progress on stderr.

    Raises: NotFound: the stack has no such service.
    """
    wish(session, stack, verb, {"services": list(services), "grace_s": grace_s})


def _names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("services", nargs="*", metavar="SERVICE", help="only these services")


def _timeout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-t",
        "--timeout",
        type=seconds,
        default=None,
        metavar="SECONDS",
        help="how long containers may take to stop (default: as each says)",
    )


def _stop_arguments(parser: argparse.ArgumentParser) -> None:
    _timeout(parser)
    _names(parser)


def _restart_arguments(parser: argparse.ArgumentParser) -> None:
    _timeout(parser)
    parser.add_argument("--no-deps", action="store_true", help="leave dependents alone")
    _names(parser)


def _create_arguments(parser: argparse.ArgumentParser) -> None:
    request_arguments(parser)
    parser.add_argument("services", nargs="*", metavar="SERVICE", help="only these")


def _scale_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-deps", action="store_true", help="leave dependencies alone")
    parser.add_argument("scales", nargs="+", metavar="SERVICE=N", help="how many containers")


def _stop(session: Session, args: argparse.Namespace) -> int:
    change(session, file.project(session), "stop", args.services, args.timeout)
    return 0


def _start(session: Session, args: argparse.Namespace) -> int:
    change(session, file.project(session), "start", args.services, None)
    return 0


def _restart(session: Session, args: argparse.Namespace) -> int:
    change(session, file.project(session), "restart", args.services, args.timeout)
    return 0


def _create(session: Session, args: argparse.Namespace) -> int:
    stack, loaded = chosen(session, args)
    wish(session, stack.name, "up", {**up_body(stack, loaded, args), "no_start": True})
    return 0


def _scale(session: Session, args: argparse.Namespace) -> int:
    for text in args.scales:
        if "=" not in text:
            raise UsageError(f"{text}: expected SERVICE=NUMBER")
    names = [text.partition("=")[0] for text in args.scales]
    loaded = file.read(session, names)
    stack = scaled(loaded.stack, args.scales)
    body = {**sent(stack, loaded), "services": names, "no_deps": args.no_deps}
    wish(session, stack.name, "up", body)
    return 0


COMMANDS = {
    "stop": Command(_stop_arguments, _stop, names="services"),
    "start": Command(_names, _start, names="services"),
    "restart": Command(_restart_arguments, _restart, names="services"),
    "create": Command(_create_arguments, _create, names="services", short_options=True),
    "scale": Command(_scale_arguments, _scale, names="scales"),
}
