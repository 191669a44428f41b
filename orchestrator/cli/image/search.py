"""`search`: images by a word, where a registry has a search."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.cli.columns import Column, Columns, Shown, format_argument
from orchestrator.cli.command import Command
from orchestrator.cli.filters import filter_argument, filters
from orchestrator.cli.image.registry import auth_headers
from orchestrator.cli.session import Session
from orchestrator.client.engine import value_of

_DESCRIPTION_MAX = 45
_LIMIT = 25


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    filter_argument(parser)
    format_argument(parser)
    add("--limit", type=int, default=_LIMIT, metavar="N", help=f"how many at most ({_LIMIT})")
    add("--no-trunc", action="store_true", help="whole descriptions")
    add("term", metavar="[HOST/]WORD", help="what to look for")


def _search(session: Session, args: argparse.Namespace) -> int:
    shown = Shown(_columns(whole=args.no_trunc), args.format)
    query = {"term": args.term, "limit": args.limit, "filters": filters(args.filter)}
    headers = auth_headers(session, args.term)
    found = value_of(session.engine.open("GET", "/images/search", query=query, headers=headers))
    shown.say(session, found or ())
    return 0


def _columns(*, whole: bool) -> Columns:
    def description(one: Mapping[str, Any]) -> str:
        text = " ".join(str(one.get("description") or "").split())
        if whole or len(text) <= _DESCRIPTION_MAX:
            return text
        return text[: _DESCRIPTION_MAX - 1] + "…"

    def mark(key: str) -> Callable[[Mapping[str, Any]], str]:
        return lambda one: "[OK]" if one.get(key) else ""

    return Columns(
        Column("Name", "NAME", lambda one: one["name"]),
        Column("Description", "DESCRIPTION", description),
        Column("StarCount", "STARS", lambda one: one.get("star_count", 0)),
        Column("IsOfficial", "OFFICIAL", mark("is_official")),
        Column("IsAutomated", "AUTOMATED", mark("is_automated")),
        table=("Name", "Description", "StarCount", "IsOfficial"),
    )


COMMANDS = {"search": Command(_arguments, _search)}
