"""`push`: an image to its registry."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from orchestrator.cli.command import Command
from orchestrator.cli.image.names import DEFAULT_TAG, split
from orchestrator.cli.image.registry import auth_headers
from orchestrator.cli.progress import TICK_S, board, silent, watch
from orchestrator.cli.session import Session
from orchestrator.cli.terminal import Terminal
from orchestrator.client.engine import quote
from orchestrator.errors import InvalidInput


def push_lines(
    session: Session, reference: str, tick_s: float | None = None, *, every_tag: bool = False
) -> Iterator[Any]:
    """The engine's lines while it pushes one image, or every tag of its repository."""
    name = split(reference)
    return session.engine.lines(
        "POST",
        f"/images/{quote(name.repository)}/push",
        query={"tag": "" if every_tag else name.wanted or DEFAULT_TAG},
        headers=auth_headers(session, name.repository),
        tick_s=tick_s,
    )


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-a", "--all-tags", action="store_true", help="every tag of it that is here")
    add("-q", "--quiet", action="store_true", help="no progress")
    add("--disable-content-trust", action="store_true", help=argparse.SUPPRESS)
    add("image", metavar="NAME[:TAG]", help="what to push")


def _push(session: Session, args: argparse.Namespace) -> int:
    name = split(args.image)
    if args.all_tags and name.wanted:
        raise InvalidInput(
            "a tag can't be used with --all-tags",
            code="all-tags-and-a-tag",
            about=args.image,
            hint=f"pystack push --all-tags {name.repository}",
        )
    if "@" in args.image:
        raise InvalidInput(
            "what is pushed has a tag; its digest is what comes of it",
            code="push-by-digest",
            about=args.image,
            hint=f"pystack push {name.repository}:TAG",
        )
    tag = "" if args.all_tags else name.wanted or DEFAULT_TAG
    if not (name.wanted or args.all_tags or args.quiet):
        session.note(f"Using default tag: {DEFAULT_TAG}")
    terminal = Terminal(session.stderr, session.environ)
    shown = silent() if args.quiet else board(terminal, f"push {args.image}")
    ending: list[str] = []

    def say(line: str) -> None:
        if ": digest: " in line:
            ending.append(line)
        elif not args.quiet:
            shown.say(line)

    watch(push_lines(session, args.image, TICK_S, every_tag=args.all_tags), shown, say)
    for line in () if args.quiet else ending:
        session.say(line)
    if args.quiet:
        session.say(name.canonical if args.all_tags else name.written(tag))
    return 0


COMMANDS = {"push": Command(_arguments, _push, names="image")}
