"""A relay in user space for what the kernel's NAT cannot serve: IPv6 clients of IPv4 containers,
and those who come by the IPv6 loopback address.

Bytes of TCP go from socket to socket through a pipe inside the kernel (splice), never through
Python. The container sees the connection come from its gateway. The relay goes with the engine
and comes back with it; ports that the kernel serves do not depend on it.

Source: splice(2).
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import anyio

from orchestrator.aio.lasting import Tasks
from orchestrator.network.datagrams import DatagramRelay

_CHUNK = 1 << 20
_CONNECT_S = 10.0
_BACKLOG = 512
_MOST_CONNECTIONS = 4096
_SPLICE_F_MOVE, _SPLICE_F_NONBLOCK = 1, 2
Place = tuple[str, int]


@dataclass(slots=True)
class _Relay:
    """One listener; `places` are those whom new connections go to in turn."""

    places: Sequence[Place]
    turn: int = 0
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def next(self) -> Place | None:
        if not self.places:
            return None
        self.turn += 1
        return self.places[self.turn % len(self.places)]


class Relays:
    """The relays of all ports; `tasks` is where connections live."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._relays: dict[int, _Relay] = {}
        self._datagrams: dict[int, DatagramRelay] = {}
        self._connections = anyio.CapacityLimiter(_MOST_CONNECTIONS)

    def serve(self, bound: socket.socket, protocol: str, places: Sequence[Place]) -> None:
        """Nothing; what comes to the bound socket from now on is relayed to these in turn, until
        `stop`. Connections that exist go on. Raises: OSError."""
        number = bound.fileno()
        if protocol == "udp":
            if relay := self._datagrams.get(number):
                relay.places = places
            elif places:
                self._datagrams[number] = DatagramRelay(bound, places)
        elif protocol == "tcp":
            if known := self._relays.get(number):
                known.places = places
            elif places:
                bound.setblocking(False)
                # Or the ends of connections, which linger for a minute, would keep the port from
                # whoever relays it next. A listening port is nobody else's all the same.
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                bound.listen(_BACKLOG)
                fresh = self._relays[number] = _Relay(places)
                self._tasks.start_soon(self._accept, bound.dup(), fresh)

    def stop(self, number: int) -> None:
        """Nothing; the relay of the socket with this descriptor, and its connections, are ended."""
        if relay := self._relays.pop(number, None):
            relay.scope.cancel()
        if datagrams := self._datagrams.pop(number, None):
            datagrams.close()

    def stop_all(self) -> None:
        """Nothing; nothing is relayed any more."""
        for number in [*self._relays, *self._datagrams]:
            self.stop(number)

    async def _accept(self, listener: socket.socket, relay: _Relay) -> None:
        loop = asyncio.get_running_loop()
        # The socket belongs to whoever holds the port; this copy lives as long as this task.
        with listener, relay.scope:
            async with anyio.create_task_group() as connections:
                while True:
                    try:
                        client, _ = await loop.sock_accept(listener)
                    except OSError:
                        await anyio.sleep(0.1)  # out of descriptors: others must end first
                        continue
                    if (place := relay.next()) is None:
                        client.close()
                    else:
                        connections.start_soon(self._relay, client, place)

    async def _relay(self, client: socket.socket, place: Place) -> None:
        loop = asyncio.get_running_loop()
        with client, suppress(OSError):
            client.setblocking(False)
            family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
            async with self._connections:
                with socket.socket(family, socket.SOCK_STREAM) as server:
                    server.setblocking(False)
                    with anyio.fail_after(_CONNECT_S):
                        await loop.sock_connect(server, place)
                    for one in (client, server):
                        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    async with anyio.create_task_group() as ways:
                        ways.start_soon(_pump, client, server)
                        ways.start_soon(_pump, server, client)


async def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Moves bytes until the source ends, then says so to the sink; when the connection breaks on
    either side, both sockets are ended, or the other way would wait for ever."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        while moved := await _fill(source, writing):
            while moved:
                moved -= await _drain(reading, sink, moved)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
    finally:
        os.close(reading)
        os.close(writing)


async def _fill(source: socket.socket, writing: int) -> int:
    while True:
        try:
            return os.splice(
                source.fileno(), writing, _CHUNK, flags=_SPLICE_F_MOVE | _SPLICE_F_NONBLOCK
            )
        except BlockingIOError:
            await anyio.wait_readable(source)


async def _drain(reading: int, sink: socket.socket, size: int) -> int:
    while True:
        try:
            return os.splice(
                reading, sink.fileno(), size, flags=_SPLICE_F_MOVE | _SPLICE_F_NONBLOCK
            )
        except BlockingIOError:
            await anyio.wait_writable(sink)
