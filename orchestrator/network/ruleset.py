"""The text of our one nftables table. Pure.

What a packet meets: `guard` keeps containers off the host's loopback, `publish` turns a published
port into a container's address through maps (so the 500th port costs what the first does),
`forward` keeps networks apart, `postrouting` hides containers behind the host.

The chain `user` is the owner's: it is evaluated before our own decisions about forwarded packets
and is never written to, so `nft add rule inet pystack user ip saddr 192.0.2.7 drop` lasts as long
as the table does.

Source: nft(8); the hook order is netfilter's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.model.container import PortBinding
from orchestrator.model.observed import Network

TABLE = "inet pystack"
_MAPS = {
    "publish4": "type inet_proto . inet_service : ipv4_addr . inet_service",
    "publish4_at": "type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service",
    "publish6": "type inet_proto . inet_service : ipv6_addr . inet_service",
    "publish6_at": "type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service",
}
_SETS = {
    "bridges": "type ifname",
    "internal": "type ifname",
    "within": "type ifname . ifname",
    "masked4": "type ipv4_addr; flags interval",
    "masked6": "type ipv6_addr; flags interval",
}
_BASES = {
    "guard": "type filter hook prerouting priority raw; policy accept",
    "prerouting": "type nat hook prerouting priority dstnat; policy accept",
    # The same moment as dstnat, which nft names only in prerouting.
    "output": "type nat hook output priority -100; policy accept",
    "postrouting": "type nat hook postrouting priority srcnat; policy accept",
    "forward": "type filter hook forward priority filter; policy accept",
}
_RULES = (
    # route_localnet lets a bridge carry 127.0.0.0/8, for replies; this stops anything else.
    ("guard", "iifname @bridges ip daddr 127.0.0.0/8 drop"),
    ("publish", "meta nfproto ipv4 dnat ip to ip daddr . meta l4proto . th dport map @publish4_at"),
    ("publish", "meta nfproto ipv4 dnat ip to meta l4proto . th dport map @publish4"),
    (
        "publish",
        "meta nfproto ipv6 dnat ip6 to ip6 daddr . meta l4proto . th dport map @publish6_at",
    ),
    ("publish", "meta nfproto ipv6 dnat ip6 to meta l4proto . th dport map @publish6"),
    ("prerouting", "fib daddr type local jump publish"),
    ("output", "fib daddr type local jump publish"),
    ("postrouting", "ip saddr @masked4 oifname != @bridges masquerade"),
    ("postrouting", "ip6 saddr @masked6 oifname != @bridges masquerade"),
    # A container that uses a published port, perhaps its own (hairpin): without a new source
    # address the answer would take the short way and not be recognised.
    ("postrouting", "ip saddr @masked4 ct status dnat masquerade"),
    ("postrouting", "ip6 saddr @masked6 ct status dnat masquerade"),
    ("postrouting", "ip saddr 127.0.0.0/8 oifname @bridges masquerade"),
    ("forward", "jump user"),
    ("forward", "ct state established,related accept"),
    ("forward", "iifname . oifname @within accept"),
    ("forward", "iifname @internal drop"),
    ("forward", "oifname @internal drop"),
    ("forward", "ct status dnat accept"),
    ("forward", "oifname @bridges drop"),
)


@dataclass(frozen=True, slots=True)
class Published:
    """A host port and the container address behind it."""

    binding: PortBinding
    target: str


def table_text(networks: Iterable[Network], published: Iterable[Published]) -> str:
    """Commands that leave our table with exactly this, the owner's chain as it was.

    Meant to be one transaction: packets meet the old rules or the new ones, and connections that
    are established go on, because theirs is kept by connection tracking.
    """
    lines = [f"add table {TABLE}", f"add chain {TABLE} user", f"add chain {TABLE} publish"]
    lines += [f"add map {TABLE} {name} {{ {kind}; }}" for name, kind in _MAPS.items()]
    lines += [f"add set {TABLE} {name} {{ {kind}; }}" for name, kind in _SETS.items()]
    lines += [f"add chain {TABLE} {name} {{ {kind}; }}" for name, kind in _BASES.items()]
    lines += [f"flush chain {TABLE} {name}" for name in (*_BASES, "publish")]
    lines += [f"flush map {TABLE} {name}" for name in _MAPS]
    lines += [f"flush set {TABLE} {name}" for name in _SETS]
    lines += [f"add rule {TABLE} {chain} {rule}" for chain, rule in _RULES]
    elements: dict[str, list[str]] = {}
    for network in networks:
        for name, element in _network_elements(network):
            elements.setdefault(name, []).append(element)
    for one in published:
        name, key, value = _publish_element(one)
        elements.setdefault(name, []).append(f"{key} : {value}")
    lines += [
        f"add element {TABLE} {name} {{ {', '.join(dict.fromkeys(values))} }}"
        for name, values in elements.items()
    ]
    return "\n".join(lines) + "\n"


def network_text(verb: str, network: Network) -> str:
    """Commands that add (verb "add") or delete ("delete") a network."""
    return "".join(
        f"{verb} element {TABLE} {name} {{ {element} }}\n"
        for name, element in _network_elements(network)
    )


def publish_text(published: Iterable[Published]) -> str:
    """Commands that publish ports."""
    lines = []
    for one in published:
        name, key, value = _publish_element(one)
        lines.append(f"add element {TABLE} {name} {{ {key} : {value} }}\n")
    return "".join(lines)


def unpublish_text(published: Iterable[Published]) -> str:
    """Commands that take ports back."""
    lines = []
    for one in published:
        name, key, _ = _publish_element(one)
        lines.append(f"delete element {TABLE} {name} {{ {key} }}\n")
    return "".join(lines)


def dropping_chains(listed: str) -> list[str]:
    """The base chains at the forward hook whose policy is drop, in the output of `list chains`."""
    found, table, chain = [], "", ""
    for line in listed.splitlines():
        match line.split():
            case ["table", family, name, "{"]:
                table = f"{family} {name}"
            case ["chain", name, "{"]:
                chain = name
            case ["type", _, "hook", "forward", *rest] if "drop;" in rest:
                found.append(f"{table} {chain}")
    return [one for one in found if not one.startswith(TABLE + " ")]


def serves(binding: PortBinding, target: str) -> bool:
    """Whether the kernel can take this binding to that target: both of one address family."""
    address = binding.host_ip
    return not address or (":" in address) == (":" in target)


def _network_elements(network: Network) -> list[tuple[str, str]]:
    bridge = f'"{network.bridge}"'
    found = [("bridges", bridge), ("within", f"{bridge} . {bridge}")]
    if network.internal:
        found.append(("internal", bridge))
    elif network.options.get("com.docker.network.bridge.enable_ip_masquerade") != "false":
        if network.subnet:
            found.append(("masked4", network.subnet))
        if network.ipv6_subnet:
            found.append(("masked6", network.ipv6_subnet))
    return found


def _publish_element(published: Published) -> tuple[str, str, str]:
    """The map, the key and the value that publish a port."""
    binding = published.binding
    family = 6 if ":" in published.target else 4
    key = f"{binding.protocol} . {binding.host_port}"
    value = f"{published.target} . {binding.container_port}"
    if not binding.host_ip or ipaddress.ip_address(binding.host_ip).is_unspecified:
        return f"publish{family}", key, value
    return f"publish{family}_at", f"{binding.host_ip} . {key}", value
