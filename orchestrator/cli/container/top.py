"""`top` and `port` of a container."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

from orchestrator.cli.command import Command
from orchestrator.cli.session import Session
from orchestrator.cli.table import table
from orchestrator.client.engine import quote
from orchestrator.errors import NotFound

_NARROWEST = 20


def _top_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("container", metavar="CONTAINER", help="its name or id")
    parser.add_argument(
        "ps_options", nargs=argparse.REMAINDER, metavar="ps OPTIONS", help="as ps takes them: -ef"
    )


def _top(session: Session, args: argparse.Namespace) -> int:
    options = shlex.join(args.ps_options)
    found = session.engine.get(f"/containers/{quote(args.container)}/top", ps_args=options)
    for line in table(found["Titles"], found["Processes"] or [], narrowest=_NARROWEST):
        session.say(line)
    return 0


def _port_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("container", metavar="CONTAINER", help="its name or id")
    parser.add_argument(
        "port", nargs="?", default="", metavar="PORT[/PROTOCOL]", help="only this one, inside"
    )


def _port(session: Session, args: argparse.Namespace) -> int:
    found = session.engine.get(f"/containers/{quote(args.container)}/json")
    ports: dict[str, Any] = (found.get("NetworkSettings") or {}).get("Ports") or {}
    if not args.port:
        for line in sorted(
            f"{inside} -> {place}" for inside, places in ports.items() for place in _places(places)
        ):
            session.say(line)
        return 0
    wanted = args.port if "/" in args.port else f"{args.port}/tcp"
    places = _places(ports.get(wanted))
    if not places:
        raise NotFound(
            f"no public port '{wanted}' published for {args.container}",
            code="port-not-published",
            about=wanted,
            hint=f"`pystack port {args.container}` lists those that are",
        )
    for place in places:
        session.say(place)
    return 0


def _places(places: list[dict[str, str]] | None) -> list[str]:
    found = [(str(place.get("HostIp") or "0.0.0.0"), place["HostPort"]) for place in places or ()]
    return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in found]


COMMANDS = {
    "top": Command(_top_arguments, _top, names="container"),
    "port": Command(_port_arguments, _port, names="container"),
}
