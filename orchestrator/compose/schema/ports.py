"""The short form of `ports`: [[HOST_IP:]HOST:]CONTAINER[/PROTOCOL], with ranges."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Hashable

from orchestrator.compose.node import Node
from orchestrator.compose.schema.kinds import Reading

FORM = "a port such as 8080:80"
PUBLISHED = re.compile(r"[0-9]{1,5}(?:-[0-9]{1,5})?")
_RANGE = re.compile(r"(?P<first>[0-9]{1,5})(?:-(?P<last>[0-9]{1,5}))?")


class _BadPortError(Exception):
    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def long_ports(node: Node, at: str, reading: Reading) -> list[Node]:
    """The long forms of a short one: one for each container port."""
    text = str(node.value) if not isinstance(node.value, bool) else ""
    try:
        return [node.holding(port) for port in parse_ports(text)]
    except _BadPortError as error:
        return [reading.findings.refuse(node, at, error.what, error.hint)]


def parse_ports(text: str) -> list[dict[str, str | int]]:
    """The long forms of "127.0.0.1:8000-8001:80-81/tcp".

    Source: compose specification, "ports", and Docker's port specification.
    """
    body, slash, protocol = text.partition("/")
    protocol = protocol.lower() if slash else "tcp"
    if protocol not in ("tcp", "udp", "sctp"):
        raise _BadPortError(f'unknown protocol "{protocol}"', "expected tcp, udp or sctp")
    left, _, container = body.rpartition(":")
    host_ip, _, host = left.rpartition(":")
    targets = _ports(container, text)
    published = _ports(host, text) if host else range(0)
    common: dict[str, str | int] = {"protocol": protocol, "mode": "ingress"}
    if host_ip:
        common["host_ip"] = _address(host_ip)
    if not published:
        return [{"target": target, **common} for target in targets]
    if len(targets) == 1 and len(published) > 1:
        return [{"target": targets[0], "published": host, **common}]
    if len(targets) != len(published):
        raise _BadPortError(
            f"the host ports {host} and the container ports {container} differ in number"
        )
    return [
        {"target": target, "published": str(port), **common}
        for port, target in zip(published, targets, strict=True)
    ]


def _ports(text: str, whole: str) -> range:
    match = _RANGE.fullmatch(text)
    if match is None:
        raise _BadPortError(f'"{whole}" is not a port', "write [[IP:]HOST:]CONTAINER[/PROTOCOL]")
    first, last = int(match["first"]), int(match["last"] or match["first"])
    if first > last:
        raise _BadPortError(f'"{text}" runs backwards')
    if first < 1 or last > 65535:
        raise _BadPortError(f'"{text}" is not from 1 to 65535')
    return range(first, last + 1)


def _address(text: str) -> str:
    bare = text.removeprefix("[").removesuffix("]")
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        raise _BadPortError(f'"{text}" is not an address') from None


def port_identity(port: Node) -> Hashable:
    """What makes two published ports the same one, when files are merged."""
    entries = {key: child.value for key, child in port.entries.items()}
    if any(isinstance(value, (dict, list)) for value in entries.values()):
        return id(port)
    return (
        entries.get("host_ip", ""),
        entries.get("published", ""),
        entries.get("target", id(port)),
        entries.get("protocol", "tcp"),
    )
