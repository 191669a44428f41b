"""`network inspect`."""

from __future__ import annotations

import argparse
import json
from typing import Any

from orchestrator.cli.command import Command
from orchestrator.cli.format import Format
from orchestrator.cli.outcome import each
from orchestrator.cli.session import Session
from orchestrator.client.engine import quote


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--format", default="", metavar="FORMAT", help="json or a template")
    parser.add_argument("-v", "--verbose", action="store_true", help="accepted: all is shown")
    parser.add_argument("networks", nargs="+", metavar="NETWORK", help="names or ids")


def _inspect(session: Session, args: argparse.Namespace) -> int:
    form = Format(args.format) if args.format else None
    found: list[dict[str, Any]] = []

    def look(name: str) -> None:
        network = session.engine.get(f"/networks/{quote(name)}")
        if form is None:
            found.append(network)
        else:
            session.say(form.line(network))

    code = each(session, args.networks, look)
    if form is None:
        session.say(json.dumps(found, indent=4, ensure_ascii=False))
    return code


COMMANDS = {"inspect": Command(_arguments, _inspect, names="networks")}
