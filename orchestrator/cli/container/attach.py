"""`attach`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from orchestrator.cli.arguments import yes_or_no
from orchestrator.cli.command import Command
from orchestrator.cli.container.attached import Wishes, check_terminal, described, run_attached
from orchestrator.cli.session import Session
from orchestrator.client.engine import quote
from orchestrator.errors import Conflict

_EXIT_DETACHED = 1


def attach_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that `start` and `attach` share."""
    add = parser.add_argument
    add("--detach-keys", default="", metavar="KEYS", help="what leaves it running")
    add(
        "--sig-proxy",
        type=yes_or_no,
        nargs="?",
        const=True,
        default=True,
        metavar="BOOL",
        help="hand this command's signals on to it",
    )


def _arguments(parser: argparse.ArgumentParser) -> None:
    attach_arguments(parser)
    parser.add_argument("--no-stdin", action="store_true", help="only show its output")
    parser.add_argument("container", metavar="CONTAINER", help="a name or id")


def _attach(session: Session, args: argparse.Namespace) -> int:
    found = described(session, quote(args.container))
    state, config = found["State"], found["Config"]
    _check_running(state, args.container)
    wishes = Wishes(
        stdin=not args.no_stdin and bool(config.get("OpenStdin")),
        tty=bool(config.get("Tty")),
        sig_proxy=args.sig_proxy,
        detach_keys=args.detach_keys,
        removed=bool((found.get("HostConfig") or {}).get("AutoRemove")),
    )
    check_terminal(stdin=wishes.stdin, tty=wishes.tty)
    return attach_to(session, found, wishes)


def attach_to(session: Session, found: Mapping[str, Any], wishes: Wishes) -> int:
    """The exit code of a running container that was joined, when it has ended; 1 after detaching.

    Source: Docker's command line, which takes detaching for an error here and not in `run`.
    """
    joined = wishes._replace(runs=True)
    code = run_attached(session, str(found["Id"]), lambda: None, joined)
    if code is None:
        session.note("read escape sequence")
        return _EXIT_DETACHED
    return code


def _check_running(state: Mapping[str, Any], name: str) -> None:
    wrong = ""
    if state.get("Paused"):
        wrong = "a paused container, unpause it first"
    elif state.get("Restarting"):
        wrong = "a restarting container, wait until it is running"
    elif not state.get("Running"):
        wrong = "a stopped container, start it first"
    if wrong:
        raise Conflict(
            f"you cannot attach to {wrong}",
            code="container-not-attachable",
            about=name,
            hint=f"`pystack start -a {name}` starts and attaches",
        )


COMMANDS = {"attach": Command(_arguments, _attach, names="container")}
