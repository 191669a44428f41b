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
from orchestrator.cli.session import Session
from orchestrator.client.faults import error_of

_PIECE_BYTES = 1 << 20


def _load_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-i", "--input", default="", metavar="FILE", help="the archive (default: stdin)")
    add("-q", "--quiet", action="store_true", help="no progress")


def _load(session: Session, args: argparse.Namespace) -> int:
    with closing(_open(args.input or "-")) as archive:
        _show(
            session,
            session.engine.lines(
                "POST", "/images/load", content=_pieces(archive), query={"quiet": args.quiet}
            ),
        )
    return 0


def _import_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-m", "--message", default="", metavar="TEXT", help="a comment in the image's history")
    add("-c", "--change", action="append", default=[], metavar="INSTRUCTION", help='as CMD ["sh"]')
    add("file", metavar="FILE", help="the tar of a file tree, - for stdin")
    add("reference", nargs="?", default="", metavar="NAME[:TAG]", help="the image's name")


def _import(session: Session, args: argparse.Namespace) -> int:
    repository, tag = _split(args.reference)
    with closing(_open(args.file)) as archive:
        _show(
            session,
            session.engine.lines(
                "POST",
                "/images/create",
                content=_pieces(archive),
                query={
                    "fromSrc": "-",
                    "repo": repository,
                    "tag": tag,
                    "message": args.message,
                    "changes": args.change,
                },
            ),
        )
    return 0


def _show(session: Session, lines: Iterator[dict[str, object]]) -> None:
    for line in lines:
        if error := line.get("errorDetail") or line.get("error"):
            raise error_of(error if isinstance(error, dict) else str(error))
        text = line.get("stream") or line.get("status")
        if text:
            session.say(str(text).rstrip("\n"))


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
