"""Answers that go on: lines of JSON, and a connection taken over for raw bytes."""

from __future__ import annotations

import asyncio
import fcntl
import select
import sys
import termios
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from orchestrator.api.status import body_of
from orchestrator.api.versions import HEADERS
from orchestrator.engine.faults import told

_encode = msgspec.json.encode

# What is held of a client's bytes until they are taken, and of ours until the client takes them.
_MOST_RECEIVED = 256 << 10
_MOST_UNSENT = 256 << 10
_LONGEST_TO_HEAD_S = 0.5
_LOOK_AGAIN_S = 0.001


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
    """A stream of JSON lines that answers the request; ended with the block.

    An error of the block is its last line, `{"error": …}`: the head of the answer is out already.
    """
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    lines = JsonLines(response)
    try:
        yield lines
    except (ConnectionError, TimeoutError):
        raise
    except Exception as error:
        await lines.send({"error": body_of(told(error, request.path))})
    if not lines.gone:
        await response.write_eof()


class Hijacked(asyncio.Protocol):
    """A connection that speaks raw bytes from now on.

    The transport's protocol in place of the HTTP server's, which would close the connection as
    soon as the client has closed its half. Both directions hold little and push back.
    Source: Engine API reference, "ContainerAttach", hijacking; asyncio, "Transports and Protocols".
    """

    def __init__(self, transport: asyncio.Transport, server: asyncio.BaseProtocol) -> None:
        self._transport = transport
        self._server = server
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._ended = False
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._hangup: select.epoll | None = None

    # -- what the transport calls

    def data_received(self, data: bytes) -> None:
        self._pieces.append(data)
        self._held += len(data)
        if self._held > _MOST_RECEIVED:
            self._transport.pause_reading()
        self._arrived.set()

    def eof_received(self) -> bool:
        self._ended = True
        self._arrived.set()
        self._watch_for_hangup()
        return True  # the other half stays open

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._arrived.set()
        self._room.set()
        self._unwatch()
        # It cancels the handler.
        self._server.connection_lost(exc)

    # -- what the handler calls

    async def received(self) -> AsyncIterator[bytes]:
        """The client's bytes as they come, until it closes its half or goes away."""
        while True:
            while self._pieces:
                data = self._pieces.popleft()
                self._held -= len(data)
                if self._held <= _MOST_RECEIVED // 2 and not self._ended:
                    self._transport.resume_reading()
                yield data
            if self._ended:
                return
            self._arrived.clear()
            await self._arrived.wait()

    def write(self, data: bytes) -> None:
        """Nothing; the bytes are on their way, or the client is gone."""
        if not self._transport.is_closing():
            self._transport.write(data)

    @property
    def gone(self) -> bool:
        return self._transport.is_closing()

    @property
    def has_room(self) -> bool:
        """Whether the client takes what it is sent."""
        return self._room.is_set()

    async def head_taken(self) -> None:
        """Nothing, once the client has read the head of the answer, or had time for it.

        Docker's client for Python drops what it reads together with the head: output that comes
        at once must not be there yet when a busy machine's client gets to read.
        Source: unix(7), SIOCOUTQ; tcp(7) has another meaning for it, which does no harm.
        """
        sock = self._transport.get_extra_info("socket")
        waited = 0.0
        # The kernel tells nobody when it happens.
        while (
            sock is not None
            and not self.gone
            and waited < _LONGEST_TO_HEAD_S
            and _unread_bytes(sock.fileno())
        ):
            await anyio.sleep(_LOOK_AGAIN_S)
            waited += _LOOK_AGAIN_S

    async def drain(self) -> None:
        """Nothing, once a slow client has taken most of what was written, or is gone."""
        await self._room.wait()

    def cut_off(self) -> None:
        """Nothing; the connection is closed, whatever was on its way."""
        self._transport.abort()

    # -- a client that closes its other half too

    def _watch_for_hangup(self) -> None:
        """After its end was read, the transport looks at the socket only to write: a silent
        stream would never learn that its client is gone.  Source: epoll(7), EPOLLHUP."""
        sock = self._transport.get_extra_info("socket")
        if sock is None or self._transport.is_closing():
            return
        self._hangup = select.epoll()
        self._hangup.register(sock.fileno(), 0)  # hang-ups and errors come unasked
        asyncio.get_running_loop().add_reader(self._hangup.fileno(), self._hung_up)

    def _hung_up(self) -> None:
        self._unwatch()
        self._transport.abort()

    def _unwatch(self) -> None:
        if self._hangup is not None:
            asyncio.get_running_loop().remove_reader(self._hangup.fileno())
            self._hangup.close()
            self._hangup = None


def _unread_bytes(descriptor: int) -> int:
    """What the other end of a socket has not taken yet, 0 where that cannot be told."""
    count = bytearray(4)
    try:
        fcntl.ioctl(descriptor, termios.TIOCOUTQ, count)
    except (OSError, ValueError):
        return 0
    return int.from_bytes(count, sys.byteorder)


class Taken(web.Response):
    """The answer of a handler that took the connection over: there is nothing more to send."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing: the connection is closed already."""


@asynccontextmanager
async def hijack(request: web.Request, content_type: str) -> AsyncIterator[Hijacked]:
    """The request's connection, taken over; closed with the block.

    The request's body must have been read. The handler answers with `Taken`.
    """
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client is gone")
    upgrade = "upgrade" in request.headers.get("Connection", "").lower()
    fields = {"Content-Type": content_type, **HEADERS}
    if upgrade:
        fields |= {"Connection": "Upgrade", "Upgrade": "tcp"}
    lines = ["HTTP/1.1 101 UPGRADED" if upgrade else "HTTP/1.1 200 OK"]
    head = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in fields.items()), "", ""])
    stream = Hijacked(transport, request.protocol)
    transport.set_write_buffer_limits(high=_MOST_UNSENT)
    transport.set_protocol(stream)
    if not transport.is_reading():
        transport.resume_reading()
    transport.write(head.encode())
    try:
        yield stream
    finally:
        transport.close()
