"""What the kernel tells about changes of the firewall and of interfaces, by whoever made them.

Source: linux/netfilter/nf_tables.h (each transaction's messages are followed by NEWGEN, which
names the task that made it); rtnetlink(7) for links and addresses.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio

from orchestrator.network.netlink import parse_attributes
from orchestrator.network.rtnetlink import IFF_UP, IFLA_IFNAME, LINK

_NETFILTER = 12
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_GROUP_NFTABLES = 7
_GROUP_LINK, _GROUP_ADDRESS4, _GROUP_ADDRESS6 = 1, 5, 9
_NFTABLES = 10 << 8
_NEW_RULE, _DELETE_RULE, _NEW_GENERATION = _NFTABLES | 6, _NFTABLES | 8, _NFTABLES | 15
_TABLE_NAME, _RULE_CHAIN, _GENERATION_PROCESS = 1, 2, 2
_NEWLINK, _DELLINK, _DELADDR = 16, 17, 21
_EVERYTHING = 0xFFFFFFFF
_OURS, _OWNERS_CHAIN = b"pystack\0", b"user\0"


class _Lost(Exception):
    """The kernel dropped notices because they were not read fast enough."""


async def foreign_changes() -> AsyncIterator[None]:
    """One item for each transaction, or several at once, in which somebody else changed our table;
    rules of the chain that is the owner's are no change."""
    touched = False
    with _listening(_NETFILTER, _GROUP_NFTABLES) as notices:
        while True:
            await anyio.wait_readable(notices)
            theirs = False
            try:
                for kind, body in _received(notices):
                    if kind == _NEW_GENERATION:
                        theirs |= touched and not _is_own(body)
                        touched = False
                    else:
                        touched |= _is_about_us(kind, body)
            except _Lost:
                theirs, touched = True, False
            if theirs:
                yield


async def link_losses() -> AsyncIterator[set[str]]:
    """The names of interfaces that went, went down or lost an address, as it happens; the empty
    set when so much happened that nobody knows what."""
    groups = (_GROUP_LINK, _GROUP_ADDRESS4, _GROUP_ADDRESS6)
    with _listening(0, *groups) as notices:
        while True:
            await anyio.wait_readable(notices)
            try:
                names = {name for message in _received(notices) if (name := _lost(*message))}
            except _Lost:
                yield set()
                continue
            if names:
                yield names


def _lost(kind: int, body: bytes) -> str:
    """The interface that a message tells a loss of; "" for other messages."""
    _, _, _, flags, changed = LINK.unpack_from(body) if kind == _NEWLINK else (0, 0, 0, IFF_UP, 0)
    # One that has just been made is down too, and says that everything of it has changed.
    went_down = not flags & IFF_UP and changed & IFF_UP and changed != _EVERYTHING
    if kind == _DELLINK or went_down:
        return parse_attributes(body, 16).get(IFLA_IFNAME, b"").rstrip(b"\0").decode()
    if kind == _DELADDR:
        try:
            return socket.if_indextoname(struct.unpack_from("=I", body, 4)[0])
        except OSError:
            return ""
    return ""


def _is_about_us(kind: int, body: bytes) -> bool:
    values = parse_attributes(body, 4)
    if values.get(_TABLE_NAME) != _OURS:
        return False
    return kind not in (_NEW_RULE, _DELETE_RULE) or values.get(_RULE_CHAIN) != _OWNERS_CHAIN


def _is_own(body: bytes) -> bool:
    task = parse_attributes(body, 4).get(_GENERATION_PROCESS, b"\0\0\0\0")
    return Path(f"/proc/self/task/{struct.unpack('!I', task)[0]}").exists()


def _received(notices: socket.socket) -> Iterator[tuple[int, bytes]]:
    while True:
        try:
            data = notices.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError as error:  # ENOBUFS
            raise _Lost from error
        at = 0
        while at + 16 <= len(data):
            size, kind = struct.unpack_from("=IH", data, at)
            yield kind, data[at + 16 : at + size]
            at += max(16, (size + 3) & ~3)


@contextmanager
def _listening(family: int, *groups: int) -> Generator[socket.socket]:
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    notices = socket.socket(socket.AF_NETLINK, kind, family)
    try:
        notices.bind((0, 0))
        for group in groups:
            notices.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
        yield notices
    finally:
        notices.close()
