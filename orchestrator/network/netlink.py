"""Netlink: messages as bytes, many of them in one send, over one socket.

Encoded by hand instead of with a library's objects: an endpoint needs a dozen messages (see
`rtnetlink`), and what makes it fast is that they travel together. Blocking: for worker threads.

Source: netlink(7), linux/netlink.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

from orchestrator.aio.points import reach

REQUEST, ACK, DUMP = 0x1, 0x4, 0x300

_NESTED = 0x8000
_ERROR, _DONE = 2, 3
_SOL_NETLINK, _EXT_ACK, _STRICT = 270, 11, 12
_NLMSGERR_ATTR_MSG, _ACK_TLVS, _CAPPED = 1, 0x200, 0x100
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")


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
        reach("netlink")
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


def _error(body: bytes, flags: int, what: str) -> NetlinkError | None:
    number = -int.from_bytes(body[:4], sys.byteorder, signed=True)
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
