"""`container publish`, `unpublish`, `drain` and `weight`: ports of a container while it runs."""

from __future__ import annotations

import argparse

from orchestrator.cli.command import Command
from orchestrator.cli.container.ports import port_bindings
from orchestrator.cli.outcome import each
from orchestrator.cli.session import Session
from orchestrator.client.engine import quote

_PREFIX = "/pystack/v1/containers"


def _ports_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("container", metavar="CONTAINER", help="name or id")
    parser.add_argument(
        "ports", nargs="+", metavar="PORT", help="[ADDRESS:][HOST:]PORT[/PROTOCOL], as with -p"
    )


def _drain_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--undo", action="store_true", help="let new connections in again")
    parser.add_argument("containers", nargs="+", metavar="CONTAINER", help="names or ids")


def _weight_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("container", metavar="CONTAINER", help="name or id")
    parser.add_argument("weight", type=int, metavar="N", help="0 to 1000; 1 is the usual")


def _publish(session: Session, args: argparse.Namespace) -> int:
    return _changed(session, args, "publish")


def _unpublish(session: Session, args: argparse.Namespace) -> int:
    return _changed(session, args, "unpublish")


def _changed(session: Session, args: argparse.Namespace, verb: str) -> int:
    """Prints what the container publishes now, as `port` does."""
    body = {"PortBindings": port_bindings(args.ports)}
    answer = session.engine.post(f"{_PREFIX}/{quote(args.container)}/{verb}", body)
    for inside, places in sorted((answer.get("Ports") or {}).items()):
        for place in places or ():
            address = place["HostIp"] or "0.0.0.0"
            where = f"[{address}]" if ":" in address else address
            session.say(f"{inside} -> {where}:{place['HostPort']}")
    return 0


def _drain(session: Session, args: argparse.Namespace) -> int:
    def steer(name: str) -> None:
        path = f"{_PREFIX}/{quote(name)}/traffic"
        session.engine.post(path, {"Drained": not args.undo})
        session.say(name)

    return each(session, args.containers, steer)


def _weight(session: Session, args: argparse.Namespace) -> int:
    path = f"{_PREFIX}/{quote(args.container)}/traffic"
    session.engine.post(path, {"Weight": args.weight})
    session.say(args.container)
    return 0


COMMANDS = {
    "publish": Command(_ports_arguments, _publish),
    "unpublish": Command(_ports_arguments, _unpublish),
    "drain": Command(_drain_arguments, _drain, names="containers"),
    "weight": Command(_weight_arguments, _weight),
}
