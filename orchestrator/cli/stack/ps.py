"""`ps` of a stack."""

from __future__ import annotations

import argparse
import json

from orchestrator.cli import containers
from orchestrator.cli.command import Command
from orchestrator.cli.session import Session
from orchestrator.cli.stack import file
from orchestrator.cli.table import table

_HEADINGS = ("NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS")
_UP = ("running", "paused", "restarting")


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-a", "--all", action="store_true", help="stopped containers too")
    add("-q", "--quiet", action="store_true", help="ids only")
    add("--services", action="store_true", help="names of services only")
    add("--no-trunc", action="store_true", help="whole commands and ids")
    add("--format", choices=("table", "json"), default="table", help="how to print it")
    add("services_named", nargs="*", metavar="SERVICE", help="only these services")


def _ps(session: Session, args: argparse.Namespace) -> int:
    project = file.project(session)
    found = containers.of_stack(session, project, args.services_named, one_off=args.all)
    shown = [c for c in found if args.all or c.get("State") in _UP]
    if args.quiet:
        for container in shown:
            session.say(containers.identifier(container, whole=True))
    elif args.services:
        for service in dict.fromkeys(containers.label(c, containers.SERVICE) for c in shown):
            session.say(service)
    elif args.format == "json":
        for container in shown:
            session.say(json.dumps(container))
    else:
        rows = [
            (
                containers.name(c),
                containers.image(c, whole=args.no_trunc),
                containers.command(c, whole=args.no_trunc),
                containers.label(c, containers.SERVICE),
                containers.created(c),
                str(c.get("Status", "")),
                containers.ports(c),
            )
            for c in shown
        ]
        for line in table(_HEADINGS, rows):
            session.say(line)
    return 0


COMMANDS = {"ps": Command(_arguments, _ps, names="services_named")}
