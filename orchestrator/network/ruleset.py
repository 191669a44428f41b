"""The text of our one nftables table. Pure.

What a packet meets: `guard` keeps containers off the host's loopback, `publish` turns a published
port into a container's address through maps (so the 500th port costs what the first does),
`forward` keeps networks apart, `postrouting` hides containers behind the host.

A port with several containers behind it has a chain of its own, found through a map too, which
deals new connections out in turn; connections that exist keep their container, because the kernel
asks a nat chain about their first packet only.

The chain `user` is the owner's: it is evaluated before our own decisions about forwarded packets
and is never written to, so `nft add rule inet pystack user ip saddr 192.0.2.7 drop` lasts as long
as the table does. Packets to published ports arrive there too, already with a container's address;
`meta l4proto tcp ct original proto-dst 8080` tells the port that was asked for.

Source: nft(8); the hook order is netfilter's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.model.observed import Network
from orchestrator.network.sharing import Backend, Front, slots

ICC = "com.docker.network.bridge.enable_icc"
MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
TABLE = "inet pystack"
SHARE_PREFIX = "to_"
_MAPS = {
    "publish4": "type inet_proto . inet_service : ipv4_addr . inet_service",
    "publish4_at": "type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service",
    "publish6": "type inet_proto . inet_service : ipv6_addr . inet_service",
    "publish6_at": "type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service",
    "share4": "type inet_proto . inet_service : verdict",
    "share4_at": "type ipv4_addr . inet_proto . inet_service : verdict",
    "share6": "type inet_proto . inet_service : verdict",
    "share6_at": "type ipv6_addr . inet_proto . inet_service : verdict",
}
_SETS = {
    "bridges": "type ifname",
    "internal": "type ifname",
    "within": "type ifname . ifname",
    "apart": "type ifname",
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
_KEY = "meta l4proto . th dport"
_RULES = (
    # route_localnet lets a bridge carry 127.0.0.0/8, for replies; this stops anything else.
    ("guard", "ip daddr 127.0.0.0/8 iifname @bridges drop"),
    # IPv6 has no such switch: what is published at ::1 is relayed.
    ("publish", "ip6 daddr ::1 return"),
    *(
        ("publish", f"meta nfproto ipv{family} {rule}")
        for family, ip in ((4, "ip"), (6, "ip6"))
        for rule in (
            f"dnat {ip} to {ip} daddr . {_KEY} map @publish{family}_at",
            f"{ip} daddr . {_KEY} vmap @share{family}_at",
            f"dnat {ip} to {_KEY} map @publish{family}",
            f"{_KEY} vmap @share{family}",
        )
    ),
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
    ("forward", "iifname @apart oifname @apart drop"),
)
# Where it was us who made a router of this host, it is one for containers only: besides nothing
# going between the interfaces that it had then, nothing goes between network cards that came
# later. They are the interfaces of no kind, which a match about the kind passes over; those of a
# kind (bridges, tunnels) are made by programs that know what they forward.
_CARDS_APART = (
    ("forward", 'meta iifkind != "none-such" accept'),
    ("forward", 'meta oifkind != "none-such" accept'),
    ("forward", "drop"),
)
Change = tuple[Front, Sequence[Backend], Sequence[Backend]]
"""A front with who was behind it and who is to be."""


@dataclass(frozen=True, slots=True)
class Content:
    """All that the table is to say: networks, who is behind each front, and the interfaces that
    nothing is forwarded between (see `_RULES`)."""

    networks: Iterable[Network] = ()
    published: Mapping[Front, Sequence[Backend]] = field(default_factory=dict)
    apart: Iterable[str] = ()


def table_text(content: Content, stale: Iterable[str] = ()) -> str:
    """Commands that leave our table with exactly this, the owner's chain as it was; `stale` are
    the chains of ports that it may still have.

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
    lines += [f"flush chain {TABLE} {name}\ndelete chain {TABLE} {name}" for name in stale]
    apart = list(content.apart)
    rules = (*_RULES, *(_CARDS_APART if apart else ()))
    lines += [f"add rule {TABLE} {chain} {rule}" for chain, rule in rules]
    elements: dict[str, list[str]] = {}
    for network in content.networks:
        for name, element in _network_elements(network):
            elements.setdefault(name, []).append(element)
    for interface in apart:
        elements.setdefault("apart", []).append(f'"{interface}"')
    for front, behind in content.published.items():
        chain, found = _port(front, behind)
        lines += chain
        for name, key, value in found:
            elements.setdefault(name, []).append(f"{key} : {value}")
    lines += [
        f"add element {TABLE} {name} {{ {', '.join(dict.fromkeys(values))} }}"
        for name, values in elements.items()
    ]
    return "\n".join(lines) + "\n"


def chains_of_ports(listed: str) -> list[str]:
    """The names of the ports' own chains, in the output of `list table`."""
    words = (line.split() for line in listed.splitlines())
    return [w[1] for w in words if w[:1] == ["chain"] and w[1].startswith(SHARE_PREFIX)]


def network_text(verb: str, network: Network) -> str:
    """Commands that add (verb "add") or delete ("delete") a network."""
    return "".join(
        f"{verb} element {TABLE} {name} {{ {element} }}\n"
        for name, element in _network_elements(network)
    )


def publish_text(changes: Iterable[Change]) -> str:
    """Commands that put others behind ports: nobody at first, or nobody at last."""
    lines: list[str] = []
    for front, before, after in changes:
        old, new = _port(front, before), _port(front, after)
        for name, key, _ in old[1]:
            lines.append(f"delete element {TABLE} {name} {{ {key} }}")
        if old[0] and not new[0]:
            name = _chain(front)
            lines += [f"flush chain {TABLE} {name}", f"delete chain {TABLE} {name}"]
        lines += new[0]
        lines += [
            f"add element {TABLE} {name} {{ {key} : {value} }}" for name, key, value in new[1]
        ]
    return "".join(line + "\n" for line in lines)


def _port(front: Front, behind: Sequence[Backend]) -> tuple[list[str], list[tuple[str, str, str]]]:
    """The commands for the port's own chain, where it needs one, and its elements: the map, the
    key and the value."""
    key = f"{front.protocol} . {front.port}"
    where = "_at" if front.host_ip else ""
    if front.host_ip:
        key = f"{front.host_ip} . {key}"
    order = slots(behind)
    if not order:
        return [], []
    if len(set(order)) == 1:
        return [], [(f"publish{front.family}{where}", key, _place(order[0]))]
    name = _chain(front)
    turns = ", ".join(f"{turn} : {_place(backend)}" for turn, backend in enumerate(order))
    ip = "ip" if front.family == 4 else "ip6"
    # The seed is fixed, so that a client keeps its container over changes that leave their number.
    turn = (
        f"jhash {ip} saddr mod {len(order)} seed 0x1"
        if order[0].sticky
        else (f"numgen inc mod {len(order)}")
    )
    rule = f"meta l4proto {front.protocol} dnat {ip} to {turn} map {{ {turns} }}"
    chain = [f"add chain {TABLE} {name}", f"flush chain {TABLE} {name}"]
    chain.append(f"add rule {TABLE} {name} {rule}")
    return chain, [(f"share{front.family}{where}", key, f"jump {name}")]


def _place(backend: Backend) -> str:
    return f"{backend.address} . {backend.port}"


def _chain(front: Front) -> str:
    """The name of the port's own chain."""
    at = "_" + front.host_ip.replace(":", "_").replace(".", "_") if front.host_ip else ""
    return f"{SHARE_PREFIX}{front.protocol}{front.family}_{front.port}{at}"


def _network_elements(network: Network) -> list[tuple[str, str]]:
    if network.driver != "bridge":
        return []
    bridge = f'"{network.bridge}"'
    found = [("bridges", bridge)]
    if network.options.get(ICC) != "false":
        found.append(("within", f"{bridge} . {bridge}"))
    if network.internal:
        found.append(("internal", bridge))
    elif network.options.get(MASQUERADE) != "false":
        found += [
            ("masked4", s) for s in (network.subnet, *(m.subnet for m in network.more_subnets)) if s
        ]
        if network.ipv6_subnet:
            found.append(("masked6", network.ipv6_subnet))
    return found
