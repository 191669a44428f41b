"""A bad line: a TCP proxy that closes every connection after so many bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio

_PIECE = 16 << 10


@dataclass
class Line:
    """`host` leads to the server behind; `cuts` counts the connections that were closed."""

    target: str
    after_bytes: int
    upwards: bool
    host: str = ""
    cuts: int = 0
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.target.partition(":")
        self.writers.add(writer)
        back_reader, back_writer = await asyncio.open_connection(host, int(port))
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._copy, reader, back_writer, self.upwards, tasks)
                tasks.start_soon(self._copy, back_reader, writer, not self.upwards, tasks)
        finally:
            self.writers.discard(writer)
            for each in (writer, back_writer):
                each.transport.abort()

    async def _copy(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        counted: bool,
        tasks: anyio.abc.TaskGroup,
    ) -> None:
        left = self.after_bytes
        with suppress(ConnectionError):
            while data := await source.read(_PIECE):
                if counted:
                    data = data[:left]
                    left -= len(data)
                target.write(data)
                await target.drain()
                if not left:
                    self.cuts += 1
                    break
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def cutting(target: str, after_bytes: int, *, upwards: bool = False) -> AsyncIterator[Line]:
    """A line to target ("host:port") that is cut after so many bytes that the server sent, or with
    `upwards` that the client did."""
    line = Line(target, after_bytes, upwards)
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    line.host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield line
    finally:
        server.close()
        for writer in list(line.writers):
            writer.transport.abort()
        await server.wait_closed()
        with anyio.fail_after(5):
            while line.writers:  # noqa: ASYNC110
                await anyio.sleep(0.01)
