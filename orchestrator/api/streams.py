"""Answers that go on: lines of JSON, and a connection taken over for raw bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

_encode = msgspec.json.encode


class JsonLines:
    """A chunked answer of one JSON object a line."""

    def __init__(self, response: web.StreamResponse) -> None:
        self.response = response
        self.gone = False

    async def send(self, value: Any) -> None:
        """Nothing, once the line is with the transport; a client that is gone is no error."""
        try:
            await self.response.write(_encode(value) + b"\n")
        except (ConnectionError, RuntimeError):
            self.gone = True


@asynccontextmanager
async def json_lines(request: web.Request) -> AsyncIterator[JsonLines]:
    """A stream of JSON lines that answers the request; ended with the block."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    lines = JsonLines(response)
    yield lines
    if not lines.gone:
        await response.write_eof()


class Hijacked:
    """A connection that speaks raw bytes from now on.

    `received` gives what the client sends, and ends when it closes its half.
    Source: Engine API reference, "ContainerAttach", hijacking.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    # aiohttp calls these two as it does a payload parser's.
    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._queue.put_nowait(bytes(data))
        return False, b""

    def feed_eof(self) -> None:
        self._queue.put_nowait(None)

    async def received(self) -> AsyncIterator[bytes]:
        """The client's bytes as they come."""
        while (data := await self._queue.get()) is not None:
            yield data

    def write(self, data: bytes) -> None:
        """Nothing; the bytes are on their way, or the client is gone."""
        if not self._transport.is_closing():
            self._transport.write(data)

    @property
    def gone(self) -> bool:
        return self._transport.is_closing()

    async def drain(self) -> None:
        """Nothing, once a slow client has taken most of what was written."""
        # The transport tells its own protocol of room, and nobody else.
        while self._transport.get_write_buffer_size() > 1 << 20 and not self.gone:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@asynccontextmanager
async def hijack(request: web.Request, content_type: str) -> AsyncIterator[Hijacked]:
    """The request's connection, taken over; closed with the block."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client is gone")
    upgrade = "upgrade" in request.headers.get("Connection", "").lower()
    head = (
        f"HTTP/1.1 101 UPGRADED\r\nContent-Type: {content_type}\r\n"
        "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        if upgrade
        else f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n\r\n"
    )
    stream = Hijacked(transport)
    request.protocol.set_parser(stream)  # type: ignore[arg-type]
    transport.write(head.encode())
    try:
        yield stream
    finally:
        transport.close()
