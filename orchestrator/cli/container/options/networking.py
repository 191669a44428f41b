"""Flags about the container's networks, names and ports.

Source: Docker's reference, "docker container run", --network and --publish.
"""

from __future__ import annotations

import argparse
import socket
from typing import Any

from orchestrator.cli.container.options.table import Body, Flag, fill, invalid
from orchestrator.cli.container.ports import exposed_ports, port_bindings
from orchestrator.errors import InvalidInput

FLAGS = (
    Flag("--hostname -h", "text", "Hostname", "its host name", "NAME"),
    Flag("--domainname", "text", "Domainname", "its domain", "NAME"),
    Flag("--publish -p", "list", "", "a port", "[ADDRESS:][HOST:]PORT[/udp]"),
    Flag("--publish-all -P", "switch", "HostConfig.PublishAllPorts", "every exposed port"),
    Flag("--expose", "list", "", "a port to expose", "PORT[-PORT][/udp]"),
    Flag("--network --net", "list", "", "a network; may be repeated", "NAME"),
    Flag("--network-alias --net-alias", "list", "", "a name on its network", "NAME"),
    Flag("--ip", "text", "", "its address on its network", "ADDRESS"),
    Flag("--ip6", "text", "", "its IPv6 address on its network", "ADDRESS"),
    Flag("--link-local-ip", "list", "", "a link-local address", "ADDRESS"),
    Flag("--mac-address", "text", "", "of its interface", "MAC"),
    Flag("--link", "list", "", "another container's name for it", "NAME[:ALIAS]"),
    Flag("--dns", "list", "HostConfig.Dns", "a name server", "ADDRESS"),
    Flag("--dns-search", "list", "HostConfig.DnsSearch", "a search domain", "DOMAIN"),
    Flag("--dns-option --dns-opt", "list", "HostConfig.DnsOptions", "for resolv.conf", "OPTION"),
    Flag("--add-host", "list", "", "for /etc/hosts", "NAME:ADDRESS"),
)
_NO_ENDPOINTS = ("host", "none")


def networking(body: Body, args: argparse.Namespace) -> None:
    """Put networks and ports into the body.  Raises: InvalidInput: a flag is malformed."""
    fill(body, args, FLAGS)
    host = body["HostConfig"]
    bindings = port_bindings(args.publish)
    host["PortBindings"] = bindings
    exposed = dict.fromkeys((*bindings, *exposed_ports(args.expose)))
    if exposed:
        body["ExposedPorts"] = {port: {} for port in exposed}
    if args.add_host:
        host["ExtraHosts"] = [_extra_host(text) for text in args.add_host]
    networks = [_network(text) for text in args.network]
    main, settings = networks[0] if networks else ("default", {})
    host["NetworkMode"] = main
    _on_main(main, settings, args)
    if args.link and main in ("default", "bridge"):
        host["Links"] = args.link
    elif args.link:
        settings["Links"] = args.link
    endpoints = {main: settings, **dict(networks[1:])}
    if len(endpoints) < len(networks):
        raise _conflict("--network", "a network is named twice")
    alone = [name for name in endpoints if _has_no_endpoint(name)]
    if alone and (len(endpoints) > 1 or settings):
        raise _conflict(
            "--network", f"{alone[0]} goes with no other network, and has no names or addresses"
        )
    if not alone and (len(endpoints) > 1 or settings or main not in ("default", "bridge")):
        body["NetworkingConfig"] = {"EndpointsConfig": endpoints}


def _has_no_endpoint(name: str) -> bool:
    return name in _NO_ENDPOINTS or name.startswith("container:")


def _on_main(main: str, settings: dict[str, Any], args: argparse.Namespace) -> None:
    """Add the flags that are about the first network to its settings."""
    addresses = {"IPv4Address": args.ip, "IPv6Address": args.ip6}
    fixed = {name: value for name, value in addresses.items() if value}
    if args.link_local_ip:
        fixed["LinkLocalIPs"] = args.link_local_ip
    given = {"Aliases": args.network_alias, "MacAddress": args.mac_address, "IPAMConfig": fixed}
    for name, value in given.items():
        if value and name in settings:
            raise _conflict("--network", f"{name} is said for {main} twice")
        if value:
            settings[name] = value
    if main in ("default", "bridge") and (args.network_alias or fixed):
        raise _conflict(
            "--network", "names and fixed addresses are there on networks of one's own only"
        )


def _network(text: str) -> tuple[str, dict[str, Any]]:
    """A network's name and the endpoint's settings, of `NAME` or `name=NAME,alias=…,ip=…`."""
    if "=" not in text:
        return text or "default", {}
    name, settings = "", dict[str, Any]()
    import csv  # noqa: PLC0415

    for field in next(csv.reader([text])):
        key, _, value = (part.strip() for part in field.partition("="))
        match key.lower():
            case "name":
                name = value
            case "alias":
                settings.setdefault("Aliases", []).append(value)
            case "ip":
                settings.setdefault("IPAMConfig", {})["IPv4Address"] = value
            case "ip6":
                settings.setdefault("IPAMConfig", {})["IPv6Address"] = value
            case "link-local-ip":
                settings.setdefault("IPAMConfig", {}).setdefault("LinkLocalIPs", []).append(value)
            case "mac-address":
                settings["MacAddress"] = value
            case "gw-priority" if value.lstrip("-").isdigit():
                settings["GwPriority"] = int(value)
            case "driver-opt":
                option, _, what = value.partition("=")
                settings.setdefault("DriverOpts", {})[option] = what
            case _:
                raise invalid(
                    "--network",
                    text,
                    f"no such field: {field}",
                    "the fields are name, alias, ip, ip6, link-local-ip, mac-address, driver-opt"
                    " and gw-priority",
                )
    if not name:
        raise invalid("--network", text, "the name is missing", "write name=NETWORK,alias=NAME")
    return name, settings


def _extra_host(text: str) -> str:
    """`NAME:ADDRESS`, of that or `NAME=ADDRESS`."""
    at = min((i for i in (text.find("="), text.find(":")) if i > 0), default=0)
    name, address = text[:at], text[at + 1 :].removeprefix("[").removesuffix("]")
    if not name or not _is_address(address):
        raise invalid(
            "--add-host", text, "expected NAME:ADDRESS", "the address may be host-gateway"
        )
    return f"{name}:{address}"


def _is_address(text: str) -> bool:
    if text == "host-gateway":
        return True
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except OSError:
        return False
    return True


def _conflict(flag: str, problem: str) -> InvalidInput:
    return InvalidInput(problem, code="flags-conflict", about=flag, hint="leave one of them out")
