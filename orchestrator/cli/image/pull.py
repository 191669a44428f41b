"""`pull`: an image from its registry."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

from orchestrator.cli.command import Command
from orchestrator.cli.progress import TICK_S, board, silent, watch
from orchestrator.cli.session import Session
from orchestrator.cli.terminal import Terminal


def pull_stream(
    session: Session, reference: str, platform: str = "", tick_s: float | None = None
) -> Callable[[], Iterator[Any]]:
    """The progress of one pull, begun when it is called."""
    return lambda: session.engine.lines(
        "POST",
        "/images/create",
        query={"fromImage": reference, "platform": platform},
        tick_s=tick_s,
    )


def pull_image(
    session: Session, reference: str, platform: str = "", *, quiet: bool = False
) -> None:
    """Pull, with progress on stderr unless `quiet`."""
    terminal = Terminal(session.stderr, session.environ)
    shown = silent() if quiet else board(terminal, f"pull {reference}")
    watch(pull_stream(session, reference, platform, TICK_S)(), shown)


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-q", "--quiet", action="store_true", help="no progress")
    add("--platform", default="", metavar="OS/ARCH", help="which of its platforms")
    add("images", nargs="*", metavar="IMAGE", help="what to pull")


def _pull(session: Session, args: argparse.Namespace) -> int:
    for reference in args.images:
        pull_image(session, reference, args.platform, quiet=args.quiet)
        session.say(reference)
    return 0


COMMANDS = {"pull": Command(_arguments, _pull, names="images")}
