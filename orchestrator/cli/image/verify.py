"""`image verify`: whether images are stored whole, and mending those that are not."""

from __future__ import annotations

import argparse

from orchestrator.cli.command import Command
from orchestrator.cli.progress import TICK_S, board, silent, watch
from orchestrator.cli.session import Session
from orchestrator.cli.terminal import Terminal


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-q", "--quiet", action="store_true", help="no progress")
    add("images", nargs="*", metavar="IMAGE", help="names or ids (default: every image)")


def _verify(session: Session, args: argparse.Namespace) -> int:
    terminal = Terminal(session.stderr, session.environ)
    shown = silent() if args.quiet else board(terminal, "verify")
    body = {"images": args.images}
    stream = session.engine.lines("POST", "/pystack/v1/images/verify", body=body, tick_s=TICK_S)
    result = watch(stream, shown)
    damage = result.get("damage") or []
    for one in damage:
        outcome = "mended" if one["mended"] else f"not mended: {one['why']}"
        session.say(f"{', '.join(one['images'])}: {one['what']} {one['digest']}: {outcome}")
    left = sum(not one["mended"] for one in damage)
    session.say(f"{result.get('images', 0)} images: {len(damage)} damaged, {left} not mended")
    return 1 if left else 0


COMMANDS = {"verify": Command(_arguments, _verify, names="images")}
