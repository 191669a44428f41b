"""`network ls`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from orchestrator.cli.columns import Column, Columns, Shown, format_argument
from orchestrator.cli.command import Command
from orchestrator.cli.filters import encoded, filter_argument
from orchestrator.cli.session import Session

_SHORT = 12


def columns(*, whole: bool = False) -> Columns:
    """What a list of networks can show.  Source: docker/cli's `formatter.NewNetworkFormat`."""
    return Columns(
        Column("ID", "NETWORK ID", lambda n: str(n["Id"]) if whole else str(n["Id"])[:_SHORT]),
        Column("Name", "NAME", lambda n: str(n["Name"])),
        Column("Driver", "DRIVER", lambda n: str(n.get("Driver", ""))),
        Column("Scope", "SCOPE", lambda n: str(n.get("Scope", "local"))),
        Column("IPv6", "IPV6", lambda n: _word(n.get("EnableIPv6"))),
        Column("Internal", "INTERNAL", lambda n: _word(n.get("Internal"))),
        Column("Labels", "LABELS", _labels),
        Column("CreatedAt", "CREATED AT", lambda n: str(n.get("Created", ""))),
        table=("ID", "Name", "Driver", "Scope"),
        quiet="ID",
        methods={"Label": lambda n, name: (n.get("Labels") or {}).get(name, "")},
        raw="network_id: {{.ID}}\\nname: {{.Name}}\\ndriver: {{.Driver}}\\nscope: {{.Scope}}\\n",
    )


def _word(value: object) -> str:
    return "true" if value else "false"


def _labels(network: Mapping[str, Any]) -> str:
    labels = network.get("Labels") or {}
    return ",".join(f"{name}={labels[name]}" for name in sorted(labels))


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-q", "--quiet", action="store_true", help="ids only")
    parser.add_argument("--no-trunc", action="store_true", help="whole ids")
    filter_argument(parser)
    format_argument(parser)


def _ls(session: Session, args: argparse.Namespace) -> int:
    shown = Shown(columns(whole=args.no_trunc), args.format, quiet=args.quiet)
    found = session.engine.get("/networks", filters=encoded(args.filter)) or []
    shown.say(session, sorted(found, key=lambda network: str(network["Name"])))
    return 0


COMMANDS = {"ls": Command(_arguments, _ls)}
