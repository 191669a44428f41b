"""Asking the host's name servers what is not ours to answer.

Over UDP first, over TCP when the answer is cut; each server in turn, each time-limited; answers
are kept for as long as they say, a minute at most.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections import OrderedDict
from collections.abc import Sequence

import anyio

from orchestrator.network import dnswire

_TIMEOUT_S = 2.0
_ROUNDS = 2
_PORT = 53
_LARGEST_UDP = 65535
_MOST_KEPT = 2000
_LONGEST_KEPT_S = 60
_LONGEST_NEGATIVE_S = 5
_MOST_AT_ONCE = 512


class Upstream:
    """A forwarder with a small cache."""

    def __init__(self, *, port: int = _PORT) -> None:
        self._port = port
        self._kept: OrderedDict[bytes, tuple[float, float, bytes, list[int]]] = OrderedDict()
        self._under_way = 0

    def remembered(self, servers: Sequence[str], query: bytes) -> bytes:
        """The answer, when it is known already; else b""."""
        key = _key(servers, query)
        found = self._kept.get(key)
        if found is None:
            return b""
        stored_at, until, packet, fields = found
        now = time.monotonic()
        if now >= until:
            del self._kept[key]
            return b""
        self._kept.move_to_end(key)
        answer = bytearray(packet)
        answer[:2] = query[:2]
        age = int(now - stored_at)
        for at in fields:
            left = max(0, int.from_bytes(answer[at : at + 4], "big") - age)
            answer[at : at + 4] = left.to_bytes(4, "big")
        return bytes(answer)

    async def ask(self, servers: Sequence[str], query: bytes) -> bytes:
        """The whole answer of the first server that gives one; SERVFAIL where none does."""
        if self._under_way >= _MOST_AT_ONCE:
            return dnswire.refusal(query, dnswire.SERVFAIL)
        self._under_way += 1
        try:
            # An identifier of our own: a container could guess its neighbours' otherwise.
            own = secrets.token_bytes(2) + query[2:]
            for server in [*servers] * _ROUNDS:
                answer = await self._ask_one(server, own)
                if answer and answer[3] & 0xF not in (dnswire.SERVFAIL, dnswire.REFUSED):
                    answer = query[:2] + answer[2:]
                    self._keep(_key(servers, query), answer)
                    return answer
        finally:
            self._under_way -= 1
        return dnswire.refusal(query, dnswire.SERVFAIL)

    async def _ask_one(self, server: str, query: bytes) -> bytes:
        try:
            with anyio.fail_after(_TIMEOUT_S):
                answer = await self._over_udp(server, query)
                return await self._over_tcp(server, query) if _cut(answer) else answer
        except (OSError, EOFError):  # a time-out is an OSError too
            return b""

    async def _over_udp(self, server: str, query: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        with _socket(server, socket.SOCK_DGRAM) as asking:
            asking.connect((server, self._port))
            await loop.sock_sendall(asking, query)
            while True:
                answer = await loop.sock_recv(asking, _LARGEST_UDP)
                if dnswire.answers_to(query, answer):
                    return answer

    async def _over_tcp(self, server: str, query: bytes) -> bytes:
        async with await anyio.connect_tcp(server, self._port) as stream:
            await stream.send(len(query).to_bytes(2, "big") + query)
            data = b""
            while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
                try:
                    data += await stream.receive()
                except anyio.EndOfStream as error:
                    raise EOFError from error
            answer = data[2:]
        if not dnswire.answers_to(query, answer):
            raise EOFError
        return answer

    def _keep(self, key: bytes, answer: bytes) -> None:
        try:
            fields = dnswire.lifetimes(answer)
        except dnswire.MalformedError:
            return
        code = answer[3] & 0xF
        positive = code == dnswire.NOERROR and answer[6:8] != b"\0\0"
        longest = _LONGEST_KEPT_S if positive else _LONGEST_NEGATIVE_S
        if code not in (dnswire.NOERROR, dnswire.NXDOMAIN) or not fields:
            return
        ttl = min(longest, *(int.from_bytes(answer[at : at + 4], "big") for at in fields))
        now = time.monotonic()
        if ttl > 0:
            self._kept[key] = (now, now + ttl, answer, fields)
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)


def _cut(answer: bytes) -> bool:
    return dnswire.is_truncated(answer)


def _key(servers: Sequence[str], query: bytes) -> bytes:
    # Everything but the identifier: EDNS flags change what the answer may hold.
    return ",".join(servers).encode() + b"\0" + query[2:]


def _socket(server: str, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    asking = socket.socket(family, kind)
    asking.setblocking(False)
    return asking
