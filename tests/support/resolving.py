"""Asking a container's resolver."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable

from anyio import to_thread

from orchestrator.network import dnswire
from tests.support.netns import Netns

RESOLVER = ("127.0.0.11", 53)


def query(name: str, kind: int = dnswire.A) -> bytes:
    head = os.urandom(2) + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0)
    return head + dnswire.name_data(name) + struct.pack("!HH", kind, 1)


def over_udp(machine: Netns, packet: bytes) -> bytes:
    with machine.udp() as asking:
        asking.connect(RESOLVER)
        asking.send(packet)
        return asking.recv(65535)


def over_tcp(machine: Netns, packet: bytes) -> bytes:
    with machine.connect(*RESOLVER) as asking:
        asking.sendall(len(packet).to_bytes(2, "big") + packet)
        data = asking.recv(65535)
        while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
            data += asking.recv(65535)
        return data[2:]


async def ask(
    machine: Netns,
    name: str,
    kind: int = dnswire.A,
    how: Callable[[Netns, bytes], bytes] = over_udp,
) -> tuple[int, list[str]]:
    """The code of the answer, and its addresses in order."""
    packet = query(name, kind)
    answer = await to_thread.run_sync(how, machine, packet)
    assert dnswire.answers_to(packet, answer)
    size = 16 if kind == dnswire.AAAA else 4
    family = socket.AF_INET6 if kind == dnswire.AAAA else socket.AF_INET
    found = [
        socket.inet_ntop(family, answer[at + 6 : at + 6 + size])
        for at in dnswire.lifetimes(answer)
        if int.from_bytes(answer[at - 4 : at - 2], "big") == kind
    ]
    return answer[3] & 0xF, found
