"""Interfaces of the host by name: their numbers and MTUs, their removal, and what to make of the
kernel's refusals. Blocking: for worker threads."""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Sequence

from orchestrator.errors import Failed
from orchestrator.network import rtnetlink
from orchestrator.network.netlink import Netlink, NetlinkError, Request, is_gone

_DEFAULT_MTU = 1500
_SIOCGIFMTU = 0x8921


def index_of(name: str) -> int:
    """The number of an interface of the calling thread's namespace. Raises: Failed: no such."""
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise Failed(
            f"there is no interface {name}",
            code="interface-gone",
            about=name,
            hint="something removed it; one of our own is made again within a second",
        ) from error


def exists(name: str) -> bool:
    """Whether there is such an interface."""
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def mtu_of(name: str) -> int:
    """The MTU of an interface in bytes."""
    # Not through /sys, which may be that of another network namespace.
    request = struct.pack("16si12x", name.encode(), 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        answer = fcntl.ioctl(any_socket, _SIOCGIFMTU, request)
    return int(struct.unpack_from("16si", answer)[1])


def way_out_mtu(link: Netlink) -> int:
    """The MTU on the way out, so that what containers send fits without being cut."""
    routes = [i for text, length, i in rtnetlink.list_prefixes(link) if not length and i]
    mtus = {one.index: one.mtu for one in rtnetlink.list_links(link)}
    return min([mtus[i] for i in routes if i in mtus], default=_DEFAULT_MTU)


def remove(names: Sequence[str]) -> None:
    """Nothing, once there are no such interfaces. Raises: Failed."""
    with Netlink() as link:
        for error in link.attempt([rtnetlink.delete_link(name) for name in names]):
            if error is None or not is_gone(error):
                ignore(error)


def do(link: Netlink, requests: Sequence[Request]) -> None:
    """Nothing, when all requests succeeded. Raises: Failed: the first that did not."""
    for error in link.attempt(requests):
        ignore(error)


def ignore(error: NetlinkError | None, *harmless: int) -> None:
    """Nothing for success and for the errors named. Raises: Failed: any other."""
    if error is not None and error.errno not in harmless:
        raise Failed(
            f"the kernel refused a network change ({error.strerror})",
            code="network-failed",
            about=(error.strerror or "").partition(":")[0],
            hint="check the kernel log, and that the engine runs as root",
        )
