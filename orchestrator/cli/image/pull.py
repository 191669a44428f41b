"""`pull`: an image from its registry."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

from orchestrator.cli.command import Command
from orchestrator.cli.image.names import DEFAULT_TAG, split
from orchestrator.cli.image.registry import auth_headers
from orchestrator.cli.image.streams import as_one
from orchestrator.cli.progress import TICK_S, board, silent, watch
from orchestrator.cli.session import Session
from orchestrator.cli.terminal import Terminal
from orchestrator.errors import InvalidInput

_SAID_AT_THE_END = ("Digest: ", "Status: ")


def pull_lines(
    session: Session,
    reference: str,
    platform: str = "",
    tick_s: float | None = None,
    *,
    every_tag: bool = False,
) -> Iterator[Any]:
    """The engine's lines while it pulls one image, or every tag of its repository."""
    name = split(reference)
    return session.engine.lines(
        "POST",
        "/images/create",
        query={
            "fromImage": name.repository,
            "tag": "" if every_tag else name.wanted or DEFAULT_TAG,
            "platform": platform,
        },
        headers=auth_headers(session, name.repository),
        tick_s=tick_s,
    )


def pull_stream(
    session: Session, reference: str, platform: str = "", tick_s: float | None = None
) -> Callable[[], Iterator[Any]]:
    """The progress of one pull among others, begun when it is called."""
    return as_one(
        reference, "Pulling", "Pulled", lambda: pull_lines(session, reference, platform, tick_s)
    )


def pull_image(
    session: Session, reference: str, platform: str = "", *, quiet: bool = False
) -> None:
    """Pull, with progress on stderr unless `quiet`."""
    terminal = Terminal(session.stderr, session.environ)
    shown = silent() if quiet else board(terminal, f"pull {reference}")
    said = _nothing if quiet else session.note
    watch(pull_lines(session, reference, platform, TICK_S), shown, said)


def _nothing(_line: str) -> None:
    """Not said."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-a", "--all-tags", action="store_true", help="every tag of the repository")
    add("-q", "--quiet", action="store_true", help="no progress")
    add("--platform", default="", metavar="OS/ARCH", help="which of its platforms")
    add("--disable-content-trust", action="store_true", help=argparse.SUPPRESS)
    add("images", nargs="*", metavar="IMAGE", help="what to pull")


def _pull(session: Session, args: argparse.Namespace) -> int:
    for reference in args.images:
        _pull_one(session, reference, args)
    return 0


def _pull_one(session: Session, reference: str, args: argparse.Namespace) -> None:
    name = split(reference)
    if args.all_tags and name.wanted:
        raise InvalidInput(
            "a tag can't be used with --all-tags",
            code="all-tags-and-a-tag",
            about=reference,
            hint=f"pystack pull --all-tags {name.repository}",
        )
    wanted = name.wanted or DEFAULT_TAG
    if not (name.wanted or args.all_tags or args.quiet):
        session.note(f"Using default tag: {DEFAULT_TAG}")
    terminal = Terminal(session.stderr, session.environ)
    shown = silent() if args.quiet else board(terminal, f"pull {reference}")
    ending: list[str] = []

    def say(line: str) -> None:
        if line.startswith(_SAID_AT_THE_END):
            ending.append(line)
        elif not args.quiet:
            shown.say(line)

    lines = pull_lines(session, reference, args.platform, TICK_S, every_tag=args.all_tags)
    watch(lines, shown, say)
    for line in () if args.quiet else ending:
        session.say(line)
    session.say(name.canonical if args.all_tags else name.written(wanted))


COMMANDS = {"pull": Command(_arguments, _pull, names="images")}
