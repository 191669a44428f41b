"""Route netlink: messages as bytes, many of them in one send, over one socket.

Encoded here by hand instead of with a library's objects: an endpoint needs a dozen message types,
and what makes it fast is that they travel together. Knows nothing of networks or containers.
Blocking: for worker threads.

Source: netlink(7), rtnetlink(7), linux/rtnetlink.h, linux/if_link.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

REQUEST, ACK, REPLACE, EXCL, CREATE, DUMP = 0x1, 0x4, 0x100, 0x200, 0x400, 0x300
NEWLINK, DELLINK, GETLINK, SETLINK = 16, 17, 18, 19
NEWADDR, GETADDR, NEWROUTE, GETROUTE = 20, 22, 24, 26
IFF_UP = 0x1

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER = 1, 3, 4, 10
IFLA_LINKINFO, IFLA_AF_SPEC, IFLA_NET_NS_FD = 18, 26, 28
IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA, IFLA_BRPORT_MODE = 4, 5, 4
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1
IFLA_INET6_ADDR_GEN_MODE, ADDR_GEN_NONE = 8, 1
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS, IFA_F_NODAD = 1, 2, 4, 8, 0x02
RTA_DST, RTA_OIF, RTA_GATEWAY = 1, 4, 5

_NESTED = 0x8000
_ERROR, _DONE = 2, 3
_SOL_NETLINK, _EXT_ACK, _STRICT = 270, 11, 12
_NLMSGERR_ATTR_MSG, _ACK_TLVS, _CAPPED = 1, 0x200, 0x100
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_FAMILY_LENGTH = {4: socket.AF_INET, 16: socket.AF_INET6}


@dataclass(frozen=True, slots=True)
class Request:
    """One message without its header; `what` names it in an error."""

    kind: int
    flags: int
    body: bytes
    what: str = ""


class NetlinkError(OSError):
    """The kernel refused a request; its own explanation is in the text where it gave one."""


def attribute(kind: int, value: bytes | int | str) -> bytes:
    """One attribute, padded; an int is 32 bits, a str is terminated by a zero byte."""
    if isinstance(value, int):
        value = struct.pack("=I", value)
    elif isinstance(value, str):
        value = value.encode() + b"\0"
    return _ATTRIBUTE.pack(len(value) + 4, kind) + value + b"\0" * (-len(value) % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | _NESTED, b"".join(attributes))


def link(*attributes: bytes, index: int = 0, family: int = 0, up: bool = False) -> bytes:
    """The body of a link message; `up` also brings the link up."""
    flags = IFF_UP if up else 0
    return _LINK.pack(family, 0, index, flags, flags) + b"".join(attributes)


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


def hairpin(name: str) -> Request:
    """Lets a bridge port send back what it received: with br_netfilter, a container's connection
    to its own published port never leaves the bridge."""
    body = link(
        attribute(IFLA_IFNAME, name),
        nested(
            IFLA_LINKINFO,
            attribute(IFLA_INFO_SLAVE_KIND, "bridge"),
            nested(IFLA_INFO_SLAVE_DATA, attribute(IFLA_BRPORT_MODE, b"\1")),
        ),
    )
    # Only NEWLINK changes what belongs to a port; without CREATE it makes nothing.
    return Request(NEWLINK, 0, body, f"hairpin of {name}")


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


def mac_bytes(mac: str) -> bytes:
    """The six bytes of a MAC address."""
    return bytes.fromhex(mac.replace(":", ""))


def _text(address: bytes) -> str:
    return socket.inet_ntop(_FAMILY_LENGTH[len(address)], address)


class Netlink:
    """A netlink socket of the namespace that the calling thread is in; `family` 0 is route."""

    def __init__(self, family: int = 0) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, family)
        self._socket.bind((0, 0))
        self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        self._sequence = 0

    def __enter__(self) -> Netlink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._socket.close()

    def attempt(self, requests: Sequence[Request]) -> list[NetlinkError | None]:
        """How each request ended, in order. All are tried, in one send."""
        if not requests:
            return []
        first = self._sequence + 1
        packets = []
        for request in requests:
            self._sequence += 1
            flags = request.flags | REQUEST | ACK
            size = len(request.body) + 16
            packets.append(
                _HEADER.pack(size, request.kind, flags, self._sequence, 0) + request.body
            )
        self._socket.send(b"".join(packets))
        results: dict[int, NetlinkError | None] = {}
        while len(results) < len(requests):
            for kind, flags, sequence, body in self._receive():
                if kind == _ERROR and first <= sequence <= self._sequence:
                    results[sequence] = _error(body, flags, requests[sequence - first].what)
        return [results[first + n] for n in range(len(requests))]

    def do(self, *requests: Request) -> None:
        """Nothing, when all requests succeeded. Raises: NetlinkError: the first that did not."""
        for error in self.attempt(requests):
            if error is not None:
                raise error

    def dump(self, kind: int, body: bytes) -> Iterator[bytes]:
        """The bodies of everything the kernel lists for a GET message."""
        self._sequence += 1
        head = _HEADER.pack(len(body) + 16, kind, REQUEST | DUMP, self._sequence, 0)
        self._socket.send(head + body)
        while True:
            for got, flags, sequence, payload in self._receive():
                if sequence != self._sequence:
                    continue
                if got == _DONE:
                    return
                if got == _ERROR:
                    raise _error(payload, flags, f"dump {kind}") or NetlinkError(0, "empty dump")
                yield payload

    def _receive(self) -> Iterator[tuple[int, int, int, bytes]]:
        data = self._socket.recv(1 << 18)
        at = 0
        while at + 16 <= len(data):
            size, kind, flags, sequence, _ = _HEADER.unpack_from(data, at)
            yield kind, flags, sequence, data[at + 16 : at + size]
            at += (size + 3) & ~3


def parse_attributes(data: bytes, start: int) -> dict[int, bytes]:
    """The attributes of a body from `start` on; of several of one kind, the last."""
    found: dict[int, bytes] = {}
    while start + 4 <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, start)
        if size < 4:
            break
        found[kind & 0x3FFF] = data[start + 4 : start + size]
        start += (size + 3) & ~3
    return found


@dataclass(frozen=True, slots=True)
class Link:
    """An interface as the kernel lists it; `kind` is "bridge", "veth", … or ""."""

    index: int
    name: str
    kind: str
    mtu: int
    master: int


def list_links(netlink: Netlink) -> list[Link]:
    """Every interface of the namespace."""
    found = []
    for body in netlink.dump(GETLINK, link()):
        _, _, index, _, _ = _LINK.unpack_from(body)
        values = parse_attributes(body, _LINK.size)
        info = parse_attributes(values.get(IFLA_LINKINFO, b""), 0)
        found.append(
            Link(
                index,
                values[IFLA_IFNAME].rstrip(b"\0").decode(),
                info.get(IFLA_INFO_KIND, b"").rstrip(b"\0").decode(),
                _number(values.get(IFLA_MTU)),
                _number(values.get(IFLA_MASTER)),
            )
        )
    return found


def list_addresses(netlink: Netlink) -> list[tuple[str, int]]:
    """Every IPv4 address of the namespace, with its interface."""
    found = []
    for body in netlink.dump(GETADDR, _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0)):
        values = parse_attributes(body, _ADDRESS.size)
        if local := values.get(IFA_LOCAL):
            found.append((_text(local), _ADDRESS.unpack_from(body)[4]))
    return found


def list_prefixes(netlink: Netlink) -> list[tuple[str, int, int]]:
    """Every IPv4 prefix with an address or a route: text, length, interface (0: several)."""
    found = []
    for body in netlink.dump(GETADDR, _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0)):
        _, length, _, _, index = _ADDRESS.unpack_from(body)
        values = parse_attributes(body, _ADDRESS.size)
        if address := values.get(IFA_ADDRESS):
            found.append((_text(address), length, index))
    for body in netlink.dump(GETROUTE, _ROUTE.pack(socket.AF_INET, *[0] * 8)):
        length = body[1]
        values = parse_attributes(body, _ROUTE.size)
        found.append((_text(values.get(RTA_DST, bytes(4))), length, _number(values.get(RTA_OIF))))
    return found


def _number(value: bytes | None) -> int:
    return int.from_bytes(value, "little" if struct.pack("=H", 1)[0] else "big") if value else 0


def _error(body: bytes, flags: int, what: str) -> NetlinkError | None:
    number = -int.from_bytes(body[:4], "little" if struct.pack("=H", 1)[0] else "big", signed=True)
    if number == 0:
        return None
    text = os.strerror(number)
    if flags & _ACK_TLVS:
        size = 20 if flags & _CAPPED else 4 + struct.unpack_from("=I", body, 4)[0]
        said = parse_attributes(body, (size + 3) & ~3).get(_NLMSGERR_ATTR_MSG)
        if said:
            text += ": " + said.rstrip(b"\0").decode(errors="replace")
    return NetlinkError(number, f"{what}: {text}")


def is_gone(error: OSError) -> bool:
    """Whether the thing asked about does not exist."""
    return error.errno in (errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.ENXIO)
