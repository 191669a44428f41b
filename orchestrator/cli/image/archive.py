"""`save`, `load` and `import`: images to and from files."""

from __future__ import annotations

import argparse
import os
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, BinaryIO

from orchestrator.cli.command import Command
from orchestrator.cli.image.images import split_tag
from orchestrator.cli.options import UsageError
from orchestrator.cli.progress import TICK_S, Board, board, silent, watch
from orchestrator.cli.session import Session
from orchestrator.cli.terminal import Terminal
from orchestrator.errors import Failed, InvalidInput, NotFound

_PIECE_BYTES = 1 << 20


def _save_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-o", "--output", default="", metavar="FILE", help="where to (default: stdout)")
    add(
        "--format", choices=("both", "docker", "oci"), default="both",
        help="a docker-archive, an OCI image layout, or both in one (the default)",
    )  # fmt: skip
    add("images", nargs="+", metavar="IMAGE", help="names or ids")


def _save(session: Session, args: argparse.Namespace) -> int:
    if args.output:
        target = Path(args.output)
        if not target.absolute().parent.is_dir():
            raise InvalidInput(
                f'invalid output path: directory "{target.parent}" does not exist',
                code="no-such-directory",
                about=args.output,
                hint="make it first",
            )
    elif sys.stdout.isatty():
        raise Failed(
            "cowardly refusing to save to a terminal",
            code="terminal",
            hint="use the -o flag or redirect",
        )
    response = session.engine.open(
        "GET", "/images/get", query={"names": tuple(args.images), "format": args.format}
    )
    with closing(response):
        if args.output:
            _write_whole(Path(args.output), response.pieces())
        else:
            _write(sys.stdout.buffer, response.pieces())
    return 0


def _write_whole(target: Path, pieces: Iterable[bytes]) -> None:
    """Writes the file so that it is there whole or not at all; a device is written as it is."""
    if target.exists() and not target.is_file():
        with target.open("wb") as file:
            _write(file, pieces)
        return
    directory = target.absolute().parent
    with tempfile.NamedTemporaryFile(dir=directory, prefix=".pystack-save-", delete=False) as file:
        try:
            _write(file, pieces)
            umask = os.umask(0)
            os.umask(umask)
            os.fchmod(file.fileno(), 0o666 & ~umask)
            Path(file.name).replace(target)
        except BaseException:
            with suppress(OSError):
                Path(file.name).unlink()
            raise


def _write(file: Any, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        file.write(piece)
    file.flush()


def _load_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-i", "--input", default="", metavar="FILE", help="the archive (default: stdin)")
    add("-q", "--quiet", action="store_true", help="no progress")


def _load(session: Session, args: argparse.Namespace) -> int:
    shown = _board(session, "load", quiet=args.quiet)
    _send(session, "/images/load", {"quiet": args.quiet}, args.input or "-", shown)
    return 0


def _import_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-m", "--message", default="", metavar="TEXT", help="a comment in the image's history")
    add("-c", "--change", action="append", default=[], metavar="INSTRUCTION", help='as CMD ["sh"]')
    add("--platform", default="", metavar="OS/ARCH", help="what the image is for")
    add("file", metavar="FILE", help="the tar of a file tree, its URL, or - for stdin")
    add("reference", nargs="?", default="", metavar="NAME[:TAG]", help="the image's name")


def _import(session: Session, args: argparse.Namespace) -> int:
    repository, tag = split_tag(args.reference)
    remote = args.file.startswith(("http://", "https://"))
    query = {
        "fromSrc": args.file if remote else "-",
        "repo": repository,
        "tag": tag,
        "message": args.message,
        "changes": tuple(args.change),
        "platform": args.platform,
    }
    shown = _board(session, "import")
    if remote:
        stream = session.engine.lines("POST", "/images/create", query=query, tick_s=TICK_S)
        _show(session, stream, shown)
        return 0
    _send(session, "/images/create", query, args.file, shown)
    return 0


def _send(
    session: Session, path: str, query: Mapping[str, object], name: str, shown: Board
) -> None:
    """Has the engine read the file itself where it can; else its content is sent."""
    with closing(_open(name)) as archive:
        local = _local(session, name)
        stream = session.engine.lines(
            "POST",
            path,
            content=b"" if local else _pieces(archive),
            query={**query, **local},
            tick_s=TICK_S,
        )
        _show(session, stream, shown)


def _local(session: Session, name: str) -> dict[str, object]:
    """What tells the engine which file of this machine is meant; nothing where it sees none."""
    if name == "-":
        return {}
    path = Path(name).resolve()
    info = path.stat()
    if not stat.S_ISREG(info.st_mode):
        return {}
    query: dict[str, object] = {
        "file": str(path),
        "device": info.st_dev,
        "inode": info.st_ino,
    }
    try:
        seen = session.engine.get("/pystack/v1/local-file", **query)
    except NotFound:
        return {}
    return query if seen and seen.get("seen") else {}


def _show(session: Session, stream: Iterable[Any], shown: Board) -> None:
    """Shows progress as it comes and says what the answer ends with: `stream` lines, an id."""
    said: list[str] = []

    def steps() -> Iterator[Any]:
        for value in stream:
            if value is not None and "stream" in value:
                said.append(str(value["stream"]).rstrip("\n"))
            elif value is not None and str(value.get("status", "")).startswith("sha256:"):
                said.append(str(value["status"]))
            else:
                yield value

    watch(steps(), shown)
    for line in said:
        session.say(line)


def _board(session: Session, title: str, *, quiet: bool = False) -> Board:
    return silent() if quiet else board(Terminal(session.stderr, session.environ), title)


def _open(name: str) -> BinaryIO:
    if name != "-":
        return Path(name).open("rb")
    if sys.stdin.isatty():
        raise UsageError("requested load from stdin, but stdin is a terminal: name the file")
    return sys.stdin.buffer


def _pieces(archive: BinaryIO) -> Iterator[bytes]:
    while piece := archive.read(_PIECE_BYTES):
        yield piece


COMMANDS = {
    "save": Command(_save_arguments, _save, names="images"),
    "load": Command(_load_arguments, _load),
    "import": Command(_import_arguments, _import),
}
