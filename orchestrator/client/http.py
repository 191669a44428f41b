"""HTTP/1.1 over a unix socket: one request, its response, and nothing else.

It is written on `socket` alone because every command pays for its imports before the first byte
is sent: `http.client` costs 21 ms of them and h11 18 ms, more than the engine needs for most
answers. What it leaves out is what a client of one known server does not need: redirects,
compression, proxies, trailers, and keeping a connection for a second request (connecting to a
unix socket takes 0.1 ms, and a connection per request means no answer can be taken for another's).
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator

from orchestrator.errors import Unavailable

_RECEIVE_BYTES = 65536
_MAX_HEAD_BYTES = 65536


class Response:
    """A response whose head has arrived; its body is read as it comes, once."""

    def __init__(
        self, connection: socket.socket, status: int, headers: dict[str, str], buffered: bytes
    ) -> None:
        self.status = status
        self.headers = headers
        self._connection = connection
        self._buffered = buffered

    def pieces(self, tick_s: float | None = None) -> Iterator[bytes]:
        """The body's bytes as they arrive, never empty, until it is complete.

        With `tick_s`, an empty piece comes whenever that many seconds passed without data, so
        that the caller can do something else (redraw a screen) without a thread.
        Raises: Unavailable(engine-gone): the connection ended before the body did.
        """
        body = _body(self.headers)
        self._connection.settimeout(tick_s)
        data = body.feed(self._buffered)
        self._buffered = b""
        try:
            while True:
                if data:
                    yield data
                if body.done:
                    return
                try:
                    received = self._connection.recv(_RECEIVE_BYTES)
                except TimeoutError:
                    yield b""
                    data = b""
                    continue
                except OSError as error:
                    raise engine_gone() from error
                if not received:
                    body.end()
                    return
                data = body.feed(received)
        finally:
            self.close()

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self.pieces())

    def lines(self, tick_s: float | None = None) -> Iterator[bytes]:
        """The body's lines without their newline; an empty one for each tick and empty line."""
        pending = b""
        for piece in self.pieces(tick_s):
            if not piece:
                yield b""
                continue
            *whole, pending = (pending + piece).split(b"\n")
            yield from whole
        if pending:
            yield pending

    def hijack(self) -> tuple[socket.socket, bytes]:
        """The raw connection, which the caller now owns, and what was already read from it."""
        self._connection.settimeout(None)
        return self._connection, self._buffered

    def close(self) -> None:
        self._connection.close()


def send(
    connection: socket.socket,
    method: str,
    target: str,
    *,
    headers: dict[str, str] | None = None,
    body: bytes | Iterable[bytes] = b"",
) -> None:
    """Send one request; `receive` has the answer. Source: RFC 9112."""
    fields = {"Host": "pystack", "Connection": "close", **(headers or {})}
    if not isinstance(body, bytes):
        fields["Transfer-Encoding"] = "chunked"
    elif body or method not in ("GET", "DELETE"):
        fields["Content-Length"] = str(len(body))
    head = f"{method} {target} HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    try:
        if isinstance(body, bytes):
            connection.sendall(head.encode() + b"\r\n" + body)
            return
        connection.sendall(head.encode() + b"\r\n")
        for piece in body:
            if piece:
                connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")
    except (BrokenPipeError, ConnectionResetError):
        # An engine that refuses a body answers before it has read it all; the answer, if there
        # is one, says more than the broken pipe does.
        return


def receive(connection: socket.socket) -> Response:
    """The response that arrives on `connection`, up to the end of its head.

    Raises: Unavailable(engine-gone): there is none; the connection is closed then.
    """
    received = b""
    try:
        while b"\r\n\r\n" not in received:
            data = connection.recv(_RECEIVE_BYTES)
            if not data or len(received) > _MAX_HEAD_BYTES:
                raise engine_gone()
            received += data
        head, _, rest = received.partition(b"\r\n\r\n")
        return _response(connection, head, rest)
    except OSError as error:
        connection.close()
        raise engine_gone() from error
    except BaseException:
        connection.close()
        raise


def engine_gone() -> Unavailable:
    """The error for an engine that went away in the middle of an answer."""
    return Unavailable(
        "the engine went away while it was answering",
        code="engine-gone",
        hint="run the command again: it starts a new engine, which goes on where the old one was",
    )


def _response(connection: socket.socket, head: bytes, rest: bytes) -> Response:
    first, *fields = head.decode("latin-1").split("\r\n")
    headers = {}
    for field in fields:
        name, _, value = field.partition(":")
        headers[name.strip().lower()] = value.strip()
    words = first.split(" ", 2)
    if len(words) < 2 or not words[1].isdigit():
        raise Unavailable(
            "the engine's socket answered with something that is not HTTP",
            code="not-an-engine",
            hint="see which program listens there: ss -xlp",
        )
    return Response(connection, int(words[1]), headers, rest)


class _Chunked:
    """A chunked body: bytes in, content out."""

    def __init__(self) -> None:
        self.done = False
        self._pending = b""
        self._left = 0
        self._after_chunk = False

    def feed(self, data: bytes) -> bytes:
        self._pending += data
        content = bytearray()
        while not self.done:
            if self._left:
                part = self._pending[: self._left]
                content += part
                self._pending = self._pending[len(part) :]
                self._left -= len(part)
                if self._left:
                    break
                self._after_chunk = True
            line, found, rest = self._pending.partition(b"\r\n")
            if not found:
                break
            self._pending = rest
            if self._after_chunk:
                self._after_chunk = False
                continue
            self._left = int(line.partition(b";")[0], 16)
            self.done = self._left == 0
        return bytes(content)

    def end(self) -> None:
        raise engine_gone()


class _Counted:
    """A body of a known length, or (`left` None) one that ends with the connection."""

    def __init__(self, left: int | None) -> None:
        self._left = left

    @property
    def done(self) -> bool:
        return self._left == 0

    def feed(self, data: bytes) -> bytes:
        if self._left is None:
            return data
        content = data[: self._left]
        self._left -= len(content)
        return content

    def end(self) -> None:
        if self._left is not None:
            raise engine_gone()


def _body(headers: dict[str, str]) -> _Chunked | _Counted:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return _Chunked()
    length = headers.get("content-length")
    return _Counted(int(length) if length and length.isdigit() else None)
