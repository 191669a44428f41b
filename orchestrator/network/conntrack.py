"""Forgetting connections that the kernel tracks.

A UDP sender that never pauses keeps its tracked connection alive for ever, and the kernel decides
where a connection goes only once, at its beginning. So a change of what a UDP port leads to must
also forget the connections that began before, or they go where nobody listens any more. TCP
connections end by themselves and are left alone.

Source: linux/netfilter/nfnetlink_conntrack.h; the filter is known since Linux 5.8.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable

from orchestrator.network.netlink import Netlink, Request, attribute, nested

_NETFILTER = 12
_DELETE = (1 << 8) | 2
_TUPLE_ORIG, _TUPLE_REPLY, _FILTER = 1, 2, 25
_IP, _PROTO = 1, 2
_NUMBER, _DESTINATION_PORT = 1, 3
_BY_SOURCE, _BY_DESTINATION, _BY_PROTOCOL, _BY_DESTINATION_PORT = 0x01, 0x02, 0x08, 0x20
_IP_ATTRIBUTES = {4: (1, 2), 6: (3, 4)}


def forget_udp_to(addresses: Iterable[str], port: int) -> None:
    """Nothing, once no connection that began towards one of these addresses and this UDP port is
    tracked (blocking)."""
    _send(
        _request(_TUPLE_ORIG, address, port, _BY_DESTINATION | _BY_DESTINATION_PORT)
        for address in addresses
    )


def forget_udp_of(address: str) -> None:
    """Nothing, once no UDP connection that this container's address answers is tracked
    (blocking)."""
    _send([_request(_TUPLE_REPLY, address, 0, _BY_SOURCE)])


def _send(requests: Iterable[Request]) -> None:
    with Netlink(_NETFILTER) as netlink:
        # Best effort: without connection tracking, or with a kernel that knows no filter, there
        # is nothing to be done.
        netlink.attempt(list(requests))


def _request(tuple_kind: int, address: str, port: int, flags: int) -> Request:
    value = ipaddress.ip_address(address)
    source, destination = _IP_ATTRIBUTES[value.version]
    end = source if flags & _BY_SOURCE else destination
    protocol = [attribute(_NUMBER, bytes([socket.IPPROTO_UDP]))]
    if port:
        protocol.append(attribute(_DESTINATION_PORT, struct.pack("!H", port)))
    family = socket.AF_INET if value.version == 4 else socket.AF_INET6
    orig = flags | _BY_PROTOCOL if tuple_kind == _TUPLE_ORIG else 0
    reply = flags | _BY_PROTOCOL if tuple_kind == _TUPLE_REPLY else 0
    body = struct.pack("=BBH", family, 0, 0)
    body += nested(tuple_kind, nested(_IP, attribute(end, value.packed)), nested(_PROTO, *protocol))
    body += nested(_FILTER, attribute(1, orig), attribute(2, reply))
    return Request(_DELETE, 0, body, f"connections of {address}")
