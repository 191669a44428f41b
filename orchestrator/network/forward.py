"""A relay in user space for what the kernel's NAT cannot serve: IPv6 clients of IPv4 containers.

Bytes go from socket to socket through a pipe inside the kernel (splice), never through Python.
The container sees the connection come from its gateway. The relay goes with the engine and comes
back with it; ports that the kernel serves do not depend on it.

Source: splice(2).
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress

import anyio
from anyio.abc import TaskGroup

_CHUNK = 1 << 20
_CONNECT_S = 10.0
_BACKLOG = 512
_MOST_CONNECTIONS = 4096
_SPLICE_F_MOVE, _SPLICE_F_NONBLOCK = 1, 2


class Relays:
    """The relays of all containers; `tasks` is where connections live."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._scopes: dict[str, list[anyio.CancelScope]] = {}
        self._connections = anyio.CapacityLimiter(_MOST_CONNECTIONS)

    def serve(self, container_id: str, bound: socket.socket, target: tuple[str, int]) -> None:
        """Nothing; connections to the bound socket are relayed until `stop`. Raises: OSError."""
        bound.setblocking(False)
        bound.listen(_BACKLOG)
        scope = anyio.CancelScope()
        self._scopes.setdefault(container_id, []).append(scope)
        self._tasks.start_soon(self._accept, bound, target, scope)

    def stop(self, container_id: str) -> None:
        """Nothing; the container's relays, and their connections, are ended."""
        for scope in self._scopes.pop(container_id, ()):
            scope.cancel()

    async def _accept(
        self, bound: socket.socket, target: tuple[str, int], scope: anyio.CancelScope
    ) -> None:
        loop = asyncio.get_running_loop()
        # The socket belongs to whoever holds the port; a copy of it lives as long as this task.
        with scope, bound.dup() as listener:
            async with anyio.create_task_group() as connections:
                while True:
                    try:
                        client, _ = await loop.sock_accept(listener)
                    except OSError:
                        await anyio.sleep(0.1)  # out of descriptors: others must end first
                        continue
                    connections.start_soon(self._relay, client, target)

    async def _relay(self, client: socket.socket, target: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        with client, suppress(OSError):
            client.setblocking(False)
            async with self._connections:
                with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
                    server.setblocking(False)
                    with anyio.fail_after(_CONNECT_S):
                        await loop.sock_connect(server, target)
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
