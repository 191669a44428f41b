"""`cp`: files between a container and this machine, or a tar by stdin and stdout."""

from __future__ import annotations

import argparse
import base64
import json
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from orchestrator.cli.command import Command
from orchestrator.cli.container.attached import described
from orchestrator.cli.container.relay import write
from orchestrator.cli.session import Session
from orchestrator.client.engine import quote
from orchestrator.errors import InvalidInput, NotFound

_PIECE = 1 << 18
_GO_DIRECTORY = 1 << 31
_GO_LINK = 1 << 27


class Place(NamedTuple):
    """One side of a copy: a path, of a container where one is named."""

    container: str
    path: str


@dataclass(frozen=True, slots=True)
class Landing:
    """Where a tar goes: into this directory, its first part renamed to `name` ("" as it is)."""

    directory: str
    name: str = ""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-a", "--archive", action="store_true", help="keep owners and groups")
    add("-L", "--follow-link", action="store_true", help="what a link SRC leads to")
    add("-q", "--quiet", action="store_true", help="say nothing of success")
    add("source", metavar="[CONTAINER:]SRC", help="a path, or - for a tar on stdin")
    add("target", metavar="[CONTAINER:]DEST", help="a path, or - for a tar on stdout")


def _cp(session: Session, args: argparse.Namespace) -> int:
    source, target = place_of(args.source), place_of(args.target)
    if source.container and target.container:
        raise _refused("copying between containers is not supported", args.source)
    if not source.container and not target.container:
        raise _refused("must specify at least one container source", args.source)
    if source.container:
        size = _from_container(session, args, source, target.path)
    else:
        size = _to_container(session, args, source.path, target)
    quiet = args.quiet or target.path == "-" or not os.isatty(1)
    if not quiet:
        session.note(f"Successfully copied {_human(size)} to {args.target}")
    return 0


def place_of(text: str) -> Place:
    """The side of a copy that an argument means.  Source: Docker's reference, "docker cp"."""
    name, found, path = text.partition(":")
    if not found or not name or text.startswith(("/", ".")):
        return Place("", text)
    return Place(name, path)


def landing(target: str, *, exists: bool, is_directory: bool, source_is_directory: bool) -> Landing:
    """Where the source goes when it is copied to `target`. Pure.

    Raises: InvalidInput: a directory onto a file, or a file into a directory that is not there.
    Source: Docker's reference, "docker cp", the list of cases.
    """
    if is_directory:
        return Landing(target)
    named_as_directory = target.endswith(("/", "/."))
    if exists and (source_is_directory or named_as_directory):
        problem = "cannot copy directory" if source_is_directory else "not a directory"
        raise _refused(f"{problem}: {target} is a file", target)
    if not exists and named_as_directory and not source_is_directory:
        raise _refused(f"no such directory: {target}", target)
    trimmed = target.rstrip("/") if not target.endswith("/.") else target[:-2].rstrip("/")
    above, _, name = trimmed.rpartition("/")
    return Landing(above or ("/" if target.startswith("/") else "."), name)


# -- out of a container


def _from_container(session: Session, args: argparse.Namespace, source: Place, target: str) -> int:
    from orchestrator.cli.container.untar import Untar, reader  # noqa: PLC0415  (tarfile: 20 ms)

    container = str(described(session, quote(source.container))["Id"])
    path = source.path or "/"
    name = ""
    if args.follow_link:
        found = _stat(session, container, path)
        if found is not None and found["mode"] & _GO_LINK:
            name = os.path.basename(path.rstrip("/"))
            path = found["linkTarget"]
    response = session.engine.open("GET", f"/containers/{container}/archive", query={"path": path})
    pieces = response.pieces()
    if target == "-":
        size = 0
        for piece in pieces:
            size += len(piece)
            write(1, piece)
        return size
    found = _decoded(response.headers)
    where = landing(
        target,
        exists=os.path.lexists(target),
        is_directory=os.path.isdir(target),
        source_is_directory=bool(found["mode"] & _GO_DIRECTORY),
    )
    if not os.path.isdir(where.directory):
        response.close()
        raise _refused(f"no such directory: {where.directory}", target)
    untar = Untar(where.directory, where.name or name, keep_owners=args.archive)
    return untar.run(reader(pieces))


def _stat(session: Session, container: str, path: str) -> dict[str, Any] | None:
    """What the engine knows of a path of the container; None where nothing is there."""
    try:
        headers = session.engine.head(f"/containers/{container}/archive", {"path": path})
    except NotFound:
        return None
    return _decoded(headers)


def _decoded(headers: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(headers["x-docker-container-path-stat"]))
    return found


# -- into a container


def _to_container(session: Session, args: argparse.Namespace, source: str, target: Place) -> int:
    container = str(described(session, quote(target.container))["Id"])
    path = target.path or "/"
    found = _stat(session, container, path)
    if found is not None and found["mode"] & _GO_LINK:
        path = found["linkTarget"] + ("/" if path.endswith("/") else "")
        found = _stat(session, container, path)
    is_directory = found is not None and bool(found["mode"] & _GO_DIRECTORY)
    if source == "-":
        if not is_directory:
            shown = f"{target.container}:{target.path}"
            raise _refused(f'destination "{shown}" must be a directory', shown)
        return _put(session, container, path, _stdin())
    from orchestrator.cli.container.totar import tar_of  # noqa: PLC0415  (tarfile: 20 ms)

    info = _local(source, follow=args.follow_link)
    where = landing(
        path,
        exists=found is not None,
        is_directory=is_directory,
        source_is_directory=stat.S_ISDIR(info.st_mode),
    )
    pieces = tar_of(source, where.name, keep_owners=args.archive, follow=args.follow_link)
    return _put(session, container, where.directory, pieces)


def _local(source: str, *, follow: bool) -> os.stat_result:
    try:
        return os.stat(source, follow_symlinks=follow or source.endswith("/"))
    except OSError as error:
        raise NotFound(
            f"lstat {source}: {(error.strerror or '').lower()}",
            code="no-such-path",
            about=source,
            hint="correct the path",
        ) from error


def _put(session: Session, container: str, path: str, pieces: Iterator[bytes]) -> int:
    sent = 0

    def counted() -> Iterator[bytes]:
        nonlocal sent
        for piece in pieces:
            sent += len(piece)
            yield piece

    session.engine.open(
        "PUT",
        f"/containers/{container}/archive",
        query={"path": path, "noOverwriteDirNonDir": True},
        headers={"Content-Type": "application/x-tar"},
        body=counted(),
    ).read()
    return sent


def _stdin() -> Iterator[bytes]:
    while piece := os.read(sys.stdin.fileno(), _PIECE):
        yield piece


def _human(size: float) -> str:
    """A size in decimal units with at most four digits, as Docker's command line has it."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.4g}{unit}" if unit == "B" else f"{size:.3g}{unit}"


def _refused(problem: str, about: str) -> InvalidInput:
    return InvalidInput(
        problem,
        code="copy-invalid",
        about=about,
        hint="pystack cp [-aLq] CONTAINER:SRC DEST|-, or SRC|- CONTAINER:DEST",
    )


COMMANDS = {"cp": Command(_arguments, _cp, names="source")}
