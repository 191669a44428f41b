"""DNS messages: reading a question, writing an answer. Pure, and quick for what containers ask.

Source: RFC 1035 sections 4.1 and 4.2, RFC 6891 for EDNS, RFC 2308 for negative answers.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence
from dataclasses import dataclass

A, SOA, PTR, AAAA, OPT, ANY = 1, 6, 12, 28, 41, 255
INTERNET = 1
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 2, 3, 4, 5
PLAIN_UDP_BYTES = 512
_HEADER = struct.Struct("!HHHHHH")
_ANSWER = struct.Struct("!HHHIH")
_RESPONSE, _TRUNCATED, _RECURSION_DESIRED, _RECURSION_AVAILABLE = 0x8000, 0x0200, 0x0100, 0x0080
_AUTHORITATIVE = 0x0400
_OPCODE = 0x7800
_EDNS = struct.pack("!BHHIH", 0, OPT, 4096, 0, 0)


class MalformedError(ValueError):
    """Not a DNS message that we understand."""


@dataclass(frozen=True, slots=True)
class Question:
    """A query: `name` in lower case without the last dot, and where the question ends.

    `room` is how many bytes its asker takes over UDP; `edns` whether it said so.
    """

    identifier: int
    flags: int
    name: str
    kind: int
    internet: bool
    end: int
    room: int
    edns: bool = False


def parse_question(packet: bytes) -> Question:
    """The one question of a query. Raises: MalformedError."""
    try:
        identifier, flags, questions, answers, authorities, additional = _HEADER.unpack_from(packet)
        if flags & (_RESPONSE | _OPCODE) or questions != 1 or answers or authorities:
            raise MalformedError("not a plain query")
        at, labels = 12, []
        while size := packet[at]:
            if size > 63:
                raise MalformedError("a compressed name in a question")
            labels.append(packet[at + 1 : at + 1 + size])
            at += size + 1
        kind, group = struct.unpack_from("!HH", packet, at + 1)
    except (IndexError, struct.error) as error:
        raise MalformedError("cut short") from error
    if at - 12 > 254:
        raise MalformedError("a name that is too long")
    name = b".".join(labels).decode("latin-1").lower()
    end = at + 5
    room = PLAIN_UDP_BYTES
    # An EDNS record is a root name (one zero byte), its type, and the asker's size as the class.
    edns = bool(additional) and packet[end : end + 3] == b"\0\0\x29" and len(packet) >= end + 11
    if edns:
        room = max(room, int.from_bytes(packet[end + 3 : end + 5], "big"))
    return Question(identifier, flags, name, kind, group == INTERNET, end, room, edns)


def reply(
    packet: bytes,
    question: Question,
    data: Sequence[bytes],
    ttl_s: int,
    *,
    kind: int = 0,
    room: int = 65535,
) -> bytes:
    """The answer with these record data, truncated (and marked so) to `room` bytes.

    Without data it says: the name exists, and has nothing of that type.
    """
    kind = kind or question.kind
    records = [_ANSWER.pack(0xC00C, kind, INTERNET, ttl_s, len(one)) + one for one in data]
    # Who asks with EDNS is answered with it: our own size, no flags, no options.
    tail = _EDNS if question.edns else b""
    left = room - question.end - len(tail)
    kept = []
    for record in records:
        left -= len(record)
        if left < 0:
            break
        kept.append(record)
    flags = _RESPONSE | _AUTHORITATIVE | _RECURSION_AVAILABLE
    flags |= question.flags & _RECURSION_DESIRED
    flags |= _TRUNCATED if len(kept) < len(records) else 0
    head = _HEADER.pack(question.identifier, flags, 1, len(kept), 0, 1 if tail else 0)
    return head + packet[12 : question.end] + b"".join(kept) + tail


def refusal(packet: bytes, code: int) -> bytes:
    """The answer that says only `code`, to whatever can be read of the query; b"" to nothing."""
    if len(packet) < 12 or packet[2] & 0x80:
        return b""
    flags = _RESPONSE | _RECURSION_AVAILABLE | code
    flags |= int.from_bytes(packet[2:4], "big") & (_RECURSION_DESIRED | _OPCODE)
    try:
        end = parse_question(packet).end
    except MalformedError:
        return _HEADER.pack(int.from_bytes(packet[:2], "big"), flags, 0, 0, 0, 0)
    return _HEADER.pack(int.from_bytes(packet[:2], "big"), flags, 1, 0, 0, 0) + packet[12:end]


def name_data(name: str) -> bytes:
    """A name as record data."""
    labels = [label.encode("latin-1", "replace")[:63] for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def reverse_address(name: str) -> str:
    """The address that a PTR question asks about; "" where it asks about none."""
    if name.endswith(".in-addr.arpa"):
        text = ".".join(reversed(name.removesuffix(".in-addr.arpa").split(".")))
    elif name.endswith(".ip6.arpa"):
        digits = "".join(reversed(name.removesuffix(".ip6.arpa").split(".")))
        text = ":".join(digits[n : n + 4] for n in range(0, 32, 4))
    else:
        return ""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def is_truncated(packet: bytes) -> bool:
    """Whether an answer says that there is more over TCP."""
    return len(packet) > 2 and bool(packet[2] & 0x02)


def answers_to(query: bytes, packet: bytes) -> bool:
    """Whether packet is an answer to this very query: identifier and question are the same.

    The question's letters may differ in case, as some servers send them back."""
    try:
        end = parse_question(query).end
    except MalformedError:
        end = 12
    return (
        len(packet) >= end
        and packet[:2] == query[:2]
        and bool(packet[2] & 0x80)
        and packet[12:end].lower() == query[12:end].lower()
    )


def truncated(packet: bytes, room: int) -> bytes:
    """The packet where it fits into `room` bytes, else its head and question marked truncated."""
    if len(packet) <= room:
        return packet
    end = _skip_name(packet, 12) + 4
    flags = int.from_bytes(packet[2:4], "big") | _TRUNCATED
    return packet[:2] + flags.to_bytes(2, "big") + b"\0\1\0\0\0\0\0\0" + packet[12:end]


def lifetimes(packet: bytes) -> list[int]:
    """Where the TTL fields of the packet's records are, an EDNS record's excepted. Raises:
    MalformedError."""
    try:
        _, _, questions, *counts = _HEADER.unpack_from(packet)
        at = 12
        for _ in range(questions):
            at = _skip_name(packet, at) + 4
        found = []
        for _ in range(sum(counts)):
            at = _skip_name(packet, at)
            kind, _, _, size = struct.unpack_from("!HHIH", packet, at)
            if kind != OPT:
                found.append(at + 4)
            at += 10 + size
    except (IndexError, struct.error) as error:
        raise MalformedError("cut short") from error
    return found


def _skip_name(packet: bytes, at: int) -> int:
    while size := packet[at]:
        if size >= 0xC0:
            return at + 2
        at += size + 1
    return at + 1
