"""`history`: the steps that an image was made in."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from orchestrator.cli.arguments import yes_or_no
from orchestrator.cli.columns import Column, Columns, Shown, format_argument
from orchestrator.cli.command import Command
from orchestrator.cli.image.rows import since
from orchestrator.cli.session import Session
from orchestrator.cli.units import size
from orchestrator.client.engine import quote

_CUT = 45


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "-H", "--human", type=yes_or_no, nargs="?", const=True, default=True, metavar="true|false",
        help="sizes and dates for people (the default)",
    )  # fmt: skip
    add("--no-trunc", action="store_true", help="whole commands and ids")
    add("-q", "--quiet", action="store_true", help="ids only")
    format_argument(parser)
    add("image", metavar="IMAGE", help="its name or id")


def _history(session: Session, args: argparse.Namespace) -> int:
    shown = Shown(_columns(args.human, args.no_trunc), args.format, quiet=args.quiet)
    shown.say(session, session.engine.get(f"/images/{quote(args.image)}/history") or [])
    return 0


def _columns(human: bool, whole: bool) -> Columns:
    def created(line: Mapping[str, Any]) -> str:
        return since(line.get("Created")) if human else _moment(line)

    def identifier(line: Mapping[str, Any]) -> str:
        text = str(line.get("Id", ""))
        return text if whole or text == "<missing>" else text.removeprefix("sha256:")[:12]

    def created_by(line: Mapping[str, Any]) -> str:
        text = str(line.get("CreatedBy") or "").replace("\t", " ")
        return text if whole or len(text) <= _CUT else text[: _CUT - 1] + "…"

    return Columns(
        Column("ID", "IMAGE", identifier),
        Column("CreatedSince", "CREATED", created),
        Column("CreatedAt", "CREATED AT", _moment),
        Column("CreatedBy", "CREATED BY", created_by),
        Column("Size", "SIZE", lambda line: size(line["Size"]) if human else str(line["Size"])),
        Column("Comment", "COMMENT", lambda line: str(line.get("Comment") or "")),
        table=("ID", "CreatedSince", "CreatedBy", "Size", "Comment"),
        quiet="ID",
    )


def _moment(line: Mapping[str, Any]) -> str:
    created = float(line.get("Created") or 0)
    return datetime.fromtimestamp(created).astimezone().isoformat() if created > 0 else "N/A"


COMMANDS = {"history": Command(_arguments, _history, names="image")}
