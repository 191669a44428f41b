"""`network create`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from orchestrator.cli.command import Command
from orchestrator.cli.network.ipam import ipam_config
from orchestrator.cli.options import UsageError
from orchestrator.cli.session import Session


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-d", "--driver", default="bridge", help="bridge (the default), macvlan or ipvlan")
    add("--subnet", action="append", default=[], metavar="CIDR", help="a subnet; several may be")
    add("--gateway", action="append", default=[], metavar="ADDRESS", help="a subnet's gateway")
    add("--ip-range", action="append", default=[], metavar="CIDR",
        help="the part of a subnet that containers get addresses from")  # fmt: skip
    add("--aux-address", action="append", default=[], metavar="NAME=ADDRESS",
        help="an address that no container may have")  # fmt: skip
    add("--internal", action="store_true", help="no way out, and no published ports")
    add("--ipv6", action="store_true", help="IPv6 too; a subnet is chosen where none is given")
    add("--attachable", action="store_true", help="accepted: every network here is")
    add("-o", "--opt", action="append", default=[], metavar="KEY=VALUE", help="a driver's option")
    add("--label", action="append", default=[], metavar="KEY=VALUE", help="a label")
    add("--ipam-driver", default="default", help="only `default` is there")
    add("--ipam-opt", action="append", default=[], metavar="KEY=VALUE", help="accepted")
    add("--scope", default="", help="only `local` is there")
    add("--ingress", action="store_true", help=argparse.SUPPRESS)
    add("--config-only", action="store_true", help=argparse.SUPPRESS)
    add("--config-from", default="", help=argparse.SUPPRESS)
    add("network", metavar="NETWORK", help="its name")


def _create(session: Session, args: argparse.Namespace) -> int:
    auxiliary = pairs("--aux-address", args.aux_address)
    body = {
        "Name": args.network,
        "Driver": args.driver,
        "Scope": args.scope,
        "Internal": args.internal,
        "Attachable": args.attachable,
        "Ingress": args.ingress,
        "ConfigOnly": args.config_only,
        "ConfigFrom": {"Network": args.config_from} if args.config_from else None,
        "EnableIPv6": args.ipv6,
        "IPAM": {
            "Driver": args.ipam_driver,
            "Options": pairs("--ipam-opt", args.ipam_opt),
            "Config": ipam_config(args.subnet, args.ip_range, args.gateway, auxiliary),
        },
        "Options": pairs("--opt", args.opt, bare=True),
        "Labels": pairs("--label", args.label, bare=True),
    }
    session.say(str(session.engine.post("/networks/create", body)["Id"]))
    return 0


def pairs(option: str, texts: Iterable[str], *, bare: bool = False) -> dict[str, str]:
    """The KEY=VALUE given to an option; a `bare` KEY has the value "".  Raises: UsageError."""
    found = {}
    for text in texts:
        key, given, value = text.partition("=")
        if not key or not (given or bare):
            raise UsageError(f"{option} {text}: expected KEY=VALUE")
        found[key] = value
    return found


COMMANDS = {"create": Command(_arguments, _create)}
