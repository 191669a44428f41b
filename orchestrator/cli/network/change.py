"""`network connect` and `network disconnect`."""

from __future__ import annotations

import argparse
from typing import Any

from orchestrator.cli.command import Command
from orchestrator.cli.network.create import pairs
from orchestrator.cli.session import Session
from orchestrator.client.engine import quote


def _connect_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--alias", action="append", default=[], metavar="NAME", help="one more name there")
    add("--driver-opt", action="append", default=[], metavar="KEY=VALUE",
        help="com.docker.network.endpoint.ifname, .sysctls")  # fmt: skip
    add("--gw-priority", type=int, default=0, metavar="N",
        help="the way out leads through the network with the highest")  # fmt: skip
    add("--ip", default="", metavar="ADDRESS", help="its IPv4 address there")
    add("--ip6", default="", metavar="ADDRESS", help="its IPv6 address there")
    add("--link", action="append", default=[], metavar="CONTAINER[:ALIAS]",
        help="a name for another container, for this one alone")  # fmt: skip
    add("--link-local-ip", action="append", default=[], metavar="ADDRESS",
        help="a link-local address")  # fmt: skip
    _both(parser)


def _disconnect_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--force", action="store_true", help="it is fine if it is not on it")
    _both(parser)


def _both(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("network", metavar="NETWORK", help="name or id")
    parser.add_argument("container", metavar="CONTAINER", help="name or id")


def _connect(session: Session, args: argparse.Namespace) -> int:
    fixed: dict[str, Any] = {
        "IPv4Address": args.ip,
        "IPv6Address": args.ip6,
        "LinkLocalIPs": args.link_local_ip,
    }
    settings = {
        "IPAMConfig": {key: value for key, value in fixed.items() if value},
        "Aliases": args.alias,
        "Links": args.link,
        "DriverOpts": pairs("--driver-opt", args.driver_opt),
        "GwPriority": args.gw_priority,
    }
    body = {"Container": args.container, "EndpointConfig": settings}
    session.engine.post(f"/networks/{quote(args.network)}/connect", body)
    return 0


def _disconnect(session: Session, args: argparse.Namespace) -> int:
    body = {"Container": args.container, "Force": args.force}
    session.engine.post(f"/networks/{quote(args.network)}/disconnect", body)
    return 0


COMMANDS = {
    "connect": Command(_connect_arguments, _connect),
    "disconnect": Command(_disconnect_arguments, _disconnect),
}
