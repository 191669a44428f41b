"""The connections that the kernel tracks: forgetting them, and counting them.

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
from collections.abc import Collection, Iterable

from orchestrator.network.netlink import Netlink, Request, attribute, nested, parse_attributes

_NETFILTER = 12
_GET, _DELETE = (1 << 8) | 1, (1 << 8) | 2
_TUPLE_ORIG, _TUPLE_REPLY, _STATUS, _PROTOCOL_INFO, _FILTER = 1, 2, 3, 4, 25
_REDIRECTED = 1 << 5
_TCP_INFO, _TCP_STATE = 1, 1
# From the first SYN to the last byte; what waits after that (TIME_WAIT, CLOSE) is over.
_ALIVE = range(1, 6)
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


def count_answered_by(addresses: Collection[str]) -> int:
    """How many connections that were redirected to one of these addresses are under way
    (blocking)."""
    found = 0
    for address in addresses:
        # The kernel leaves out the others, of which there may be hundreds of thousands.
        only = _request(_TUPLE_REPLY, address, 0, _BY_SOURCE, protocol=False).body
        wanted = {ipaddress.ip_address(address).packed}
        with Netlink(_NETFILTER) as netlink:
            found += sum(_is_under_way(body, wanted) for body in netlink.dump(_GET, only))
    return found


def _is_under_way(body: bytes, wanted: set[bytes]) -> bool:
    values = parse_attributes(body, 4)
    if not int.from_bytes(values.get(_STATUS, b""), "big") & _REDIRECTED:
        return False
    places = parse_attributes(parse_attributes(values.get(_TUPLE_REPLY, b""), 0).get(_IP, b""), 0)
    if places.get(1, places.get(3)) not in wanted:
        return False
    tcp = parse_attributes(values.get(_PROTOCOL_INFO, b""), 0).get(_TCP_INFO)
    return tcp is None or parse_attributes(tcp, 0).get(_TCP_STATE, b"\0")[0] in _ALIVE


def _send(requests: Iterable[Request]) -> None:
    with Netlink(_NETFILTER) as netlink:
        # Best effort: without connection tracking, or with a kernel that knows no filter, there
        # is nothing to be done.
        netlink.attempt(list(requests))


def _request(
    tuple_kind: int, address: str, port: int, flags: int, *, protocol: bool = True
) -> Request:
    value = ipaddress.ip_address(address)
    source, destination = _IP_ATTRIBUTES[value.version]
    end = source if flags & _BY_SOURCE else destination
    parts = [nested(_IP, attribute(end, value.packed))]
    if protocol:
        numbers = [attribute(_NUMBER, bytes([socket.IPPROTO_UDP]))]
        if port:
            numbers.append(attribute(_DESTINATION_PORT, struct.pack("!H", port)))
        parts.append(nested(_PROTO, *numbers))
        flags |= _BY_PROTOCOL
    family = socket.AF_INET if value.version == 4 else socket.AF_INET6
    orig = flags if tuple_kind == _TUPLE_ORIG else 0
    reply = flags if tuple_kind == _TUPLE_REPLY else 0
    body = struct.pack("=BBH", family, 0, 0)
    body += nested(tuple_kind, *parts)
    body += nested(_FILTER, attribute(1, orig), attribute(2, reply))
    return Request(_DELETE, 0, body, f"connections of {address}")
