"""The messages of route netlink: links, addresses and routes, made and listed.

Knows nothing of networks or containers.  Source: rtnetlink(7), linux/rtnetlink.h,
linux/if_link.h.
"""

from __future__ import annotations

import socket
import struct
import sys
from dataclasses import dataclass

from orchestrator.network.netlink import Netlink, Request, attribute, nested, parse_attributes

REPLACE, EXCL, CREATE = 0x100, 0x200, 0x400
NEWLINK, DELLINK, GETLINK, SETLINK = 16, 17, 18, 19
NEWADDR, GETADDR, NEWROUTE, DELROUTE, GETROUTE = 20, 22, 24, 25, 26
IFF_UP = 0x1

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER = 1, 3, 4, 5, 10
IFLA_LINKINFO, IFLA_AF_SPEC, IFLA_NET_NS_FD = 18, 26, 28
IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 4, 5
IFLA_BRPORT_MODE, IFLA_BRPORT_ISOLATED = 4, 33
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1
IFLA_MACVLAN_MODE, IFLA_IPVLAN_MODE, IFLA_IPVLAN_FLAGS, IFLA_VLAN_ID = 1, 1, 2, 1
IFLA_INET6_ADDR_GEN_MODE, ADDR_GEN_NONE = 8, 1
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS, IFA_F_NODAD = 1, 2, 4, 8, 0x02
RTA_DST, RTA_OIF, RTA_GATEWAY = 1, 4, 5

LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_FAMILY_LENGTH = {4: socket.AF_INET, 16: socket.AF_INET6}


def link(*attributes: bytes, index: int = 0, family: int = 0, up: bool = False) -> bytes:
    """The body of a link message; `up` also brings the link up."""
    flags = IFF_UP if up else 0
    return LINK.pack(family, 0, index, flags, flags) + b"".join(attributes)


def new_bridge(name: str, mac: str, mtu: int) -> Request:
    """Makes a bridge, down."""
    body = link(
        attribute(IFLA_IFNAME, name),
        attribute(IFLA_ADDRESS, mac_bytes(mac)),
        attribute(IFLA_MTU, mtu),
        nested(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, "bridge")),
    )
    return Request(NEWLINK, CREATE | EXCL, body, f"bridge {name}")


def new_veth(
    name: str, bridge: int, mtu: int, *, peer: str, peer_mac: str, namespace_fd: int
) -> Request:
    """Makes a veth pair: `name` here, a port of the bridge; `peer` in the other namespace."""
    other = link(
        attribute(IFLA_IFNAME, peer),
        attribute(IFLA_ADDRESS, mac_bytes(peer_mac)),
        attribute(IFLA_MTU, mtu),
        attribute(IFLA_NET_NS_FD, namespace_fd),
    )
    body = link(
        attribute(IFLA_IFNAME, name),
        attribute(IFLA_MTU, mtu),
        attribute(IFLA_MASTER, bridge),
        nested(
            IFLA_LINKINFO,
            attribute(IFLA_INFO_KIND, "veth"),
            nested(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, other)),
        ),
    )
    return Request(NEWLINK, CREATE | EXCL, body, f"veth {name}")


def new_cable(name: str, peer: str, mtu: int) -> Request:
    """Makes a veth pair of which both ends stay here: an interface that has a carrier, once both
    are up, and leads nowhere."""
    other = link(attribute(IFLA_IFNAME, peer), attribute(IFLA_MTU, mtu))
    body = link(
        attribute(IFLA_IFNAME, name),
        attribute(IFLA_MTU, mtu),
        nested(
            IFLA_LINKINFO,
            attribute(IFLA_INFO_KIND, "veth"),
            nested(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, other)),
        ),
    )
    return Request(NEWLINK, CREATE | EXCL, body, f"cable {name}")


def delete_link(name: str) -> Request:
    """Removes a link, and with a veth its other end."""
    return Request(DELLINK, 0, link(attribute(IFLA_IFNAME, name)), f"link {name}")


def link_up(name: str) -> Request:
    """Brings a link up."""
    return Request(SETLINK, 0, link(attribute(IFLA_IFNAME, name), up=True), f"link {name} up")


def port_of(name: str, bridge: int) -> Request:
    """Makes a link a port of the bridge, and brings it up."""
    body = link(attribute(IFLA_IFNAME, name), attribute(IFLA_MASTER, bridge), up=True)
    return Request(SETLINK, 0, body, f"link {name} into its bridge")


def port_settings(name: str, *, isolated: bool) -> Request:
    """How a bridge port behaves.

    It may send back what it received: with br_netfilter, a container's connection to its own
    published port never leaves the bridge. An isolated one reaches the bridge, but no other that
    is isolated.
    """
    body = link(
        attribute(IFLA_IFNAME, name),
        nested(
            IFLA_LINKINFO,
            attribute(IFLA_INFO_SLAVE_KIND, "bridge"),
            nested(
                IFLA_INFO_SLAVE_DATA,
                attribute(IFLA_BRPORT_MODE, b"\1"),
                attribute(IFLA_BRPORT_ISOLATED, bytes([isolated])),
            ),
        ),
    )
    # Only NEWLINK changes what belongs to a port; without CREATE it makes nothing.
    return Request(NEWLINK, 0, body, f"settings of port {name}")


def new_macvlan(
    name: str, parent: int, mtu: int, *, mode: int, mac: str, namespace_fd: int
) -> Request:
    """Makes an interface in the other namespace that has a MAC address of its own on the parent."""
    data = attribute(IFLA_MACVLAN_MODE, mode)
    return _on_parent("macvlan", name, parent, mtu, data, mac, namespace_fd)


def new_ipvlan(
    name: str, parent: int, mtu: int, *, mode: int, flags: int, namespace_fd: int
) -> Request:
    """Makes an interface in the other namespace that shares the parent's MAC address."""
    data = attribute(IFLA_IPVLAN_MODE, struct.pack("=H", mode))
    data += attribute(IFLA_IPVLAN_FLAGS, struct.pack("=H", flags))
    return _on_parent("ipvlan", name, parent, mtu, data, "", namespace_fd)


def _on_parent(
    kind: str, name: str, parent: int, mtu: int, data: bytes, mac: str, namespace_fd: int
) -> Request:
    body = link(
        attribute(IFLA_IFNAME, name),
        attribute(IFLA_LINK, parent),
        attribute(IFLA_MTU, mtu),
        attribute(IFLA_NET_NS_FD, namespace_fd),
        *([attribute(IFLA_ADDRESS, mac_bytes(mac))] if mac else []),
        nested(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, kind), nested(IFLA_INFO_DATA, data)),
    )
    return Request(NEWLINK, CREATE | EXCL, body, f"{kind} {name}")


def new_vlan(name: str, parent: int, number: int) -> Request:
    """Makes the interface that carries one VLAN of the parent."""
    body = link(
        attribute(IFLA_IFNAME, name),
        attribute(IFLA_LINK, parent),
        nested(
            IFLA_LINKINFO,
            attribute(IFLA_INFO_KIND, "vlan"),
            nested(IFLA_INFO_DATA, attribute(IFLA_VLAN_ID, struct.pack("=H", number))),
        ),
    )
    return Request(NEWLINK, CREATE | EXCL, body, f"vlan {name}")


def no_link_local(name: str) -> Request:
    """Keeps the kernel from giving the link an IPv6 address by itself, and from testing it."""
    spec = nested(
        IFLA_AF_SPEC,
        nested(socket.AF_INET6, attribute(IFLA_INET6_ADDR_GEN_MODE, bytes([ADDR_GEN_NONE]))),
    )
    return Request(SETLINK, 0, link(attribute(IFLA_IFNAME, name), spec), f"link {name}, no IPv6")


def add_address(index: int, address: bytes, prefix: int, broadcast: bytes = b"") -> Request:
    """Gives a link an address; one that it has already is no error."""
    family = _FAMILY_LENGTH[len(address)]
    body = _ADDRESS.pack(family, prefix, 0, 0, index)
    body += attribute(IFA_LOCAL, address) + attribute(IFA_ADDRESS, address)
    if family == socket.AF_INET6:
        body += attribute(IFA_FLAGS, IFA_F_NODAD)
    elif broadcast:
        body += attribute(IFA_BROADCAST, broadcast)
    return Request(NEWADDR, CREATE | REPLACE, body, f"address {_text(address)}/{prefix}")


def default_route(gateway: bytes, index: int) -> Request:
    """Sends what has no other way through the gateway."""
    family = _FAMILY_LENGTH[len(gateway)]
    # Table main, protocol boot as ip(8) marks its own, scope universe, unicast.
    body = _ROUTE.pack(family, 0, 0, 0, 254, 3, 0, 1, 0)
    body += attribute(RTA_GATEWAY, gateway) + attribute(RTA_OIF, index)
    return Request(NEWROUTE, CREATE | REPLACE, body, f"default route by {_text(gateway)}")


def device_route(index: int, family: int = socket.AF_INET) -> Request:
    """Sends what has no other way out at a link where everybody is a neighbour."""
    scope = 253 if family == socket.AF_INET else 0
    body = _ROUTE.pack(family, 0, 0, 0, 254, 3, scope, 1, 0) + attribute(RTA_OIF, index)
    return Request(NEWROUTE, CREATE | REPLACE, body, "default route by a link")


def no_default_route(family: int = socket.AF_INET) -> Request:
    """Removes a default route."""
    # Scope nowhere (255) means any.
    body = _ROUTE.pack(family, 0, 0, 0, 254, 0, 255, 0, 0)
    return Request(DELROUTE, 0, body, "default route")


def mac_bytes(mac: str) -> bytes:
    """The six bytes of a MAC address."""
    return bytes.fromhex(mac.replace(":", ""))


def _text(address: bytes) -> str:
    return socket.inet_ntop(_FAMILY_LENGTH[len(address)], address)


@dataclass(frozen=True, slots=True)
class Link:
    """An interface as the kernel lists it; `kind` is "bridge", "veth", … or ""."""

    index: int
    name: str
    kind: str
    mtu: int
    master: int
    up: bool


def list_links(netlink: Netlink) -> list[Link]:
    """Every interface of the namespace."""
    found = []
    for body in netlink.dump(GETLINK, link()):
        _, _, index, flags, _ = LINK.unpack_from(body)
        values = parse_attributes(body, LINK.size)
        info = parse_attributes(values.get(IFLA_LINKINFO, b""), 0)
        found.append(
            Link(
                index,
                values[IFLA_IFNAME].rstrip(b"\0").decode(),
                info.get(IFLA_INFO_KIND, b"").rstrip(b"\0").decode(),
                _number(values.get(IFLA_MTU)),
                _number(values.get(IFLA_MASTER)),
                bool(flags & IFF_UP),
            )
        )
    return found


def list_addresses(netlink: Netlink, family: int = socket.AF_INET) -> list[tuple[str, int]]:
    """Every address of the family in the namespace, with its interface."""
    found = []
    for body in netlink.dump(GETADDR, _ADDRESS.pack(family, 0, 0, 0, 0)):
        values = parse_attributes(body, _ADDRESS.size)
        if local := values.get(IFA_LOCAL) or values.get(IFA_ADDRESS):
            found.append((_text(local), _ADDRESS.unpack_from(body)[4]))
    return found


def list_prefixes(netlink: Netlink, family: int = socket.AF_INET) -> list[tuple[str, int, int]]:
    """Every prefix of the family with an address or a route: text, length, interface (0:
    several)."""
    found = []
    zero = bytes(4 if family == socket.AF_INET else 16)
    for body in netlink.dump(GETADDR, _ADDRESS.pack(family, 0, 0, 0, 0)):
        _, length, _, _, index = _ADDRESS.unpack_from(body)
        values = parse_attributes(body, _ADDRESS.size)
        if address := values.get(IFA_ADDRESS):
            found.append((_text(address), length, index))
    for body in netlink.dump(GETROUTE, _ROUTE.pack(family, *[0] * 8)):
        length = body[1]
        values = parse_attributes(body, _ROUTE.size)
        found.append((_text(values.get(RTA_DST, zero)), length, _number(values.get(RTA_OIF))))
    return found


def _number(value: bytes | None) -> int:
    return int.from_bytes(value, sys.byteorder) if value else 0
