"""`ps` of a stack."""

from __future__ import annotations

import argparse
from typing import Any

from orchestrator.cli import containers
from orchestrator.cli.columns import Column, Columns, Shown
from orchestrator.cli.command import Command
from orchestrator.cli.options import UsageError
from orchestrator.cli.session import Session
from orchestrator.cli.stack import file

_TABLE = ("Name", "Image", "Command", "Service", "RunningFor", "Status", "Ports")
_UP = ("running", "paused", "restarting")
_STATUSES = ("created", "dead", "exited", "paused", "removing", "restarting", "running")


def _columns(*, whole: bool) -> Columns:
    """Source: docker/compose's `formatter.ContainerContext`."""
    return Columns(
        Column("ID", "CONTAINER ID", lambda c: containers.identifier(c, whole=whole)),
        Column("Name", "NAME", containers.name),
        Column("Names", "NAMES", containers.name),
        Column("Image", "IMAGE", lambda c: containers.image(c, whole=whole)),
        Column("Command", "COMMAND", lambda c: containers.command(c, whole=whole)),
        Column("Project", "PROJECT", lambda c: containers.label(c, containers.PROJECT)),
        Column("Service", "SERVICE", lambda c: containers.label(c, containers.SERVICE)),
        Column("RunningFor", "CREATED", containers.created),
        Column("State", "STATE", lambda c: str(c.get("State", ""))),
        Column("Status", "STATUS", lambda c: str(c.get("Status", ""))),
        Column("Health", "HEALTH", _health),
        Column("ExitCode", "EXIT CODE", _exit_code),
        Column("Ports", "PORTS", containers.ports),
        table=_TABLE,
        methods={"Label": containers.label},
    )


def _health(container: dict[str, Any]) -> str:
    status = str(container.get("Status", ""))
    for word in ("healthy", "unhealthy"):
        if f"({word})" in status:
            return word
    return "starting" if "health: starting" in status else ""


def _exit_code(container: dict[str, Any]) -> int:
    status = str(container.get("Status", ""))
    inside = status.partition("(")[2].partition(")")[0]
    return int(inside) if status.startswith("Exited") and inside.isdigit() else 0


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-a", "--all", action="store_true", help="stopped and one-off containers too")
    add("-q", "--quiet", action="store_true", help="ids only")
    add("--services", action="store_true", help="names of services only")
    add("--status", action="append", choices=_STATUSES, default=[], help="only those in it")
    add("--filter", action="append", default=[], metavar="status=STATUS", help="the same")
    add("--orphans", action="store_true", default=True, help="those of services gone (default)")
    add("--no-orphans", dest="orphans", action="store_false", help="not those of services gone")
    add("--no-trunc", action="store_true", help="whole commands and ids")
    add("--format", default="", metavar="FORMAT", help="table, json or a Go template")
    add("services_named", nargs="*", metavar="SERVICE", help="only these services")


def _ps(session: Session, args: argparse.Namespace) -> int:
    shown = Shown(_columns(whole=args.no_trunc), args.format)
    wanted = set(args.status) | {_status(text) for text in args.filter}
    project = file.project(session)
    found = containers.of_stack(session, project, args.services_named, one_off=args.all)
    if not args.orphans:
        known = {service.name for service in file.load(session).services}
        found = [c for c in found if containers.label(c, containers.SERVICE) in known]
    every = args.all or bool(wanted)
    chosen = [
        c
        for c in found
        if (every or c.get("State") in _UP) and (not wanted or c.get("State") in wanted)
    ]
    if args.quiet:
        for container in chosen:
            session.say(containers.identifier(container, whole=True))
    elif args.services:
        for service in dict.fromkeys(containers.label(c, containers.SERVICE) for c in chosen):
            session.say(service)
    else:
        shown.say(session, chosen)
    return 0


def _status(text: str) -> str:
    key, _, value = text.partition("=")
    if key != "status" or value not in _STATUSES:
        raise UsageError(f"--filter {text}: expected status=STATUS, one of {', '.join(_STATUSES)}")
    return value


COMMANDS = {"ps": Command(_arguments, _ps, names="services_named")}
