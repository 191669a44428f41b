"""What `up` and its kin are told on the command line, as the engine takes it."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.cli.arguments import seconds
from orchestrator.cli.options import UsageError
from orchestrator.cli.session import Session
from orchestrator.cli.stack import file
from orchestrator.cli.stack.wish import check_services, sent
from orchestrator.compose.told import told_to

if TYPE_CHECKING:
    from orchestrator.compose.load import Loaded
    from orchestrator.model.stack import Stack

PULL = ("always", "missing", "never", "build")


def request_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that up, plan and create share."""
    add = parser.add_argument
    add("--build", action="store_true", help="build images even if they exist")
    add("--no-build", action="store_true", help="build no image, even if it is missing")
    add("--pull", choices=("policy", *PULL), default="", help="when to pull images")
    add("--quiet-pull", action="store_true", help="pull without showing progress")
    add("--force-recreate", action="store_true", help="recreate containers that are up to date")
    add("--no-recreate", action="store_true", help="leave existing containers as they are")
    add("--remove-orphans", action="store_true", help="remove containers of services gone")
    add("--scale", action="append", default=[], metavar="SERVICE=N", help="how many containers")
    add("-y", "--yes", action="store_true", help="ask nothing (pystack never asks)")


def up_arguments(parser: argparse.ArgumentParser) -> None:
    """Those that up and plan have beside them."""
    add = parser.add_argument
    request_arguments(parser)
    add("--no-deps", action="store_true", help="leave what the services depend on alone")
    add("--always-recreate-deps", action="store_true", help="recreate what they depend on too")
    add("-V", "--renew-anon-volumes", action="store_true", help="fresh anonymous volumes")
    add("--no-start", action="store_true", help="make containers, start none")
    add("-t", "--timeout", type=seconds, default=None, metavar="SECONDS",
        help="how long containers may take to stop")  # fmt: skip
    add("services", nargs="*", metavar="SERVICE", help="only these, and what they depend on")


def chosen(session: Session, args: argparse.Namespace) -> tuple[Stack, Loaded]:
    """The stack as the arguments want it, and as it was read; its warnings are printed.

    Raises: UsageError: options that exclude each other.  StackInvalid, NotFound, InvalidInput.
    """
    if args.force_recreate and args.no_recreate:
        raise UsageError("--force-recreate and --no-recreate exclude each other")
    if args.build and args.no_build:
        raise UsageError("--build and --no-build exclude each other")
    _orphans(session, args)
    loaded = file.read(session, args.services)
    for warning in loaded.warnings:
        session.note(f"warning: {warning}")
    stack = scaled(loaded.stack, args.scale)
    if args.pull in PULL[1:]:
        services = (replace(s, pull_policy=args.pull) for s in stack.services)
        stack = replace(stack, services=tuple(services))
    check_services(stack, args.services)
    return stack, loaded


def _orphans(session: Session, args: argparse.Namespace) -> None:
    """Take what the environment says of containers of services gone."""
    args.ignore_orphans = told_to(session.environ, "IGNORE_ORPHANS")
    if args.ignore_orphans and args.remove_orphans:
        raise UsageError("--remove-orphans and COMPOSE_IGNORE_ORPHANS exclude each other")
    args.remove_orphans = args.remove_orphans or told_to(session.environ, "REMOVE_ORPHANS")


def scaled(stack: Stack, scales: list[str]) -> Stack:
    """The stack with the services at these scales (`web=3`).  Raises: UsageError, InvalidInput."""
    for text in scales:
        name, _, number = text.partition("=")
        if not number.isdigit():
            raise UsageError(f"--scale {text}: expected SERVICE=NUMBER")
        check_services(stack, [name])
        services = (replace(s, scale=int(number)) if s.name == name else s for s in stack.services)
        stack = replace(stack, services=tuple(services))
    return stack


def up_body(stack: Stack, loaded: Loaded, args: argparse.Namespace) -> dict[str, Any]:
    """The body of a request to bring the stack up."""
    recreate = "force" if args.force_recreate else "never" if args.no_recreate else "diverged"
    return {
        **sent(stack, loaded),
        "build": args.build,
        "no_build": args.no_build,
        "pull": "always" if args.pull == "always" else "",
        "recreate": recreate,
        "recreate_deps": getattr(args, "always_recreate_deps", False),
        "renew_volumes": getattr(args, "renew_anon_volumes", False),
        "no_deps": getattr(args, "no_deps", False),
        "no_start": getattr(args, "no_start", False),
        "grace_s": getattr(args, "timeout", None),
        "remove_orphans": args.remove_orphans,
        "ignore_orphans": getattr(args, "ignore_orphans", False),
        "services": args.services,
    }
