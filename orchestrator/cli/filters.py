"""`--filter KEY=VALUE`, as Docker's list commands take it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from orchestrator.cli.options import UsageError


def filter_argument(parser: argparse.ArgumentParser, *, short: bool = True) -> None:
    """Declare `--filter`, and `-f` where that means nothing else."""
    parser.add_argument(
        *(["-f"] if short else []),
        "--filter",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="which ones; several values of one key are alternatives",
    )


def filters(texts: Sequence[str]) -> dict[str, list[str]]:
    """Docker's `filters` of `KEY=VALUE`, several of them.  Raises: UsageError: one has no `=`."""
    found: dict[str, list[str]] = {}
    for text in filter(None, texts):
        key, given, value = text.partition("=")
        if not given:
            raise UsageError(f"invalid filter {text!r}: expected KEY=VALUE")
        key = key.strip().lower()
        # `label!=a=b` asks for those without.
        found.setdefault(key, []).append(value.strip())
    return found


def encoded(texts: Sequence[str]) -> str:
    """The same as the query's text; "" where there are none."""
    return json.dumps(filters(texts)) if texts else ""
