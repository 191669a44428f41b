"""`load` and `import`: images from archives."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from orchestrator.cli.command import Command
from orchestrator.cli.options import UsageError
from orchestrator.cli.progress import TICK_S, Board, board, silent, watch
from orchestrator.cli.session import Session
from orchestrator.cli.terminal import Terminal

_PIECE_BYTES = 1 << 20


def _load_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-i", "--input", default="", metavar="FILE", help="the archive (default: stdin)")
    add("-q", "--quiet", action="store_true", help="no progress")


def _load(session: Session, args: argparse.Namespace) -> int:
    with closing(_open(args.input or "-")) as archive:
        stream = session.engine.lines(
            "POST",
            "/images/load",
            content=_pieces(archive),
            query={"quiet": args.quiet},
            tick_s=TICK_S,
        )
        result = watch(stream, _board(session, quiet=args.quiet))
    for name in result.get("images") or ():
        session.say(f"Loaded image: {name}")
    return 0


def _import_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-m", "--message", default="", metavar="TEXT", help="a comment in the image's history")
    add("-c", "--change", action="append", default=[], metavar="INSTRUCTION", help='as CMD ["sh"]')
    add("file", metavar="FILE", help="the tar of a file tree, - for stdin")
    add("reference", nargs="?", default="", metavar="NAME[:TAG]", help="the image's name")


def _import(session: Session, args: argparse.Namespace) -> int:
    repository, tag = _split(args.reference)
    query = {
        "fromSrc": "-",
        "repo": repository,
        "tag": tag,
        "message": args.message,
        "changes": args.change,
    }
    with closing(_open(args.file)) as archive:
        stream = session.engine.lines(
            "POST", "/images/create", content=_pieces(archive), query=query, tick_s=TICK_S
        )
        result = watch(stream, _board(session))
    session.say(str(result.get("id", "")))
    return 0


def _board(session: Session, *, quiet: bool = False) -> Board:
    return silent() if quiet else board(Terminal(session.stderr, session.environ), "load")


def _split(reference: str) -> tuple[str, str]:
    """Repository and tag; a colon before a slash is a registry's port."""
    repository, found, tag = reference.rpartition(":")
    return (repository, tag) if found and "/" not in tag else (reference, "")


def _open(name: str) -> BinaryIO:
    if name != "-":
        return Path(name).open("rb")
    if sys.stdin.isatty():
        raise UsageError("name an archive with -i FILE, or send one on stdin")
    return sys.stdin.buffer


def _pieces(archive: BinaryIO) -> Iterator[bytes]:
    while piece := archive.read(_PIECE_BYTES):
        yield piece


COMMANDS = {
    "load": Command(_load_arguments, _load),
    "import": Command(_import_arguments, _import),
}
