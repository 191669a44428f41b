"""`secret` and `config`: contents that the engine keeps by name, for stacks that call them
external."""

from __future__ import annotations

import argparse
import base64
import functools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.cli.columns import Column, Columns, Shown, format_argument
from orchestrator.cli.command import Command
from orchestrator.cli.filters import encoded, filter_argument
from orchestrator.cli.inspect import inspect, inspect_arguments
from orchestrator.cli.outcome import each
from orchestrator.cli.session import Session
from orchestrator.client.engine import quote
from orchestrator.errors import InvalidInput

SECRET, CONFIG = "secret", "config"


def _label(grant: Mapping[str, Any], name: str) -> str:
    return str((grant["Spec"].get("Labels") or {}).get(name, ""))


def _labels(grant: Mapping[str, Any]) -> str:
    labels = grant["Spec"].get("Labels") or {}
    return ",".join(f"{name}={labels[name]}" for name in sorted(labels))


def _when(key: str, grant: Mapping[str, Any]) -> str:
    from datetime import UTC, datetime  # noqa: PLC0415

    from orchestrator.model.ages import ago  # noqa: PLC0415

    then = datetime.fromisoformat(str(grant[key])[:26] + "+00:00")
    return f"{ago((datetime.now(UTC) - then).total_seconds())} ago"


def columns(kind: str) -> Columns:
    """What a list can show.  Source: docker/cli's `secret/formatter.go`, `config/formatter.go`."""
    driver = (Column("Driver", "DRIVER", lambda _: ""),) if kind == SECRET else ()
    return Columns(
        Column("ID", "ID", lambda grant: grant["ID"]),
        Column("Name", "NAME", lambda grant: grant["Spec"]["Name"]),
        *driver,
        Column("CreatedAt", "CREATED", functools.partial(_when, "CreatedAt")),
        Column("UpdatedAt", "UPDATED", functools.partial(_when, "UpdatedAt")),
        Column("Labels", "LABELS", _labels),
        table=("ID", "Name", *(c.name for c in driver), "CreatedAt", "UpdatedAt"),
        quiet="ID",
        methods={"Label": _label},
    )


def _create_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-l", "--label", action="append", default=[], metavar="KEY=VALUE", help="a label")
    add("name", metavar="NAME", help="what it is called")
    add("file", nargs="?", default="-", metavar="FILE", help="its content; - for stdin")


def _create(kind: str, session: Session, args: argparse.Namespace) -> int:
    labels = {key: value for key, _, value in (text.partition("=") for text in args.label)}
    content = base64.b64encode(_content(args.file)).decode()
    body = {"Name": args.name, "Labels": labels, "Data": content}
    session.say(str(session.engine.post(f"/{kind}s/create", body)["ID"]))
    return 0


def _content(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise InvalidInput(
            f"{file} cannot be read: {error.strerror}",
            code="file-unreadable",
            about=file,
            hint="name a file with the content, or - for stdin",
        ) from error


def _ls_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-q", "--quiet", action="store_true", help="ids only")
    filter_argument(parser)
    format_argument(parser)


def _ls(kind: str, session: Session, args: argparse.Namespace) -> int:
    shown = Shown(columns(kind), args.format, quiet=args.quiet)
    shown.say(session, session.engine.get(f"/{kind}s", filters=encoded(args.filter)) or [])
    return 0


def _inspect_arguments(parser: argparse.ArgumentParser) -> None:
    inspect_arguments(parser)


def _inspect(kind: str, session: Session, args: argparse.Namespace) -> int:
    def find(name: str) -> Any:
        return session.engine.get(f"/{kind}s/{quote(name)}")

    return inspect(session, args.names, find, args.format)


def _rm_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="+", metavar="NAME", help="names or ids")


def _rm(kind: str, session: Session, args: argparse.Namespace) -> int:
    def remove(name: str) -> None:
        session.engine.delete(f"/{kind}s/{quote(name)}")
        session.say(name)

    return each(session, args.names, remove)


COMMANDS = {
    f"{kind}-{verb}": Command(arguments, functools.partial(run, kind), names=names)
    for kind in (SECRET, CONFIG)
    for verb, arguments, run, names in (
        ("create", _create_arguments, _create, "name"),
        ("ls", _ls_arguments, _ls, ""),
        ("inspect", _inspect_arguments, _inspect, "names"),
        ("rm", _rm_arguments, _rm, "names"),
    )
}
