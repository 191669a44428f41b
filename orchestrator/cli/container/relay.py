"""Bytes between this process' stdio and a hijacked connection, both ways at once."""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress

from orchestrator.client.frames import STDERR, STDOUT, Frames
from orchestrator.model.detach import DetachKeys

_READ_BYTES = 65536


class Relay:
    """One connection joined to stdin (where `stdin` is its descriptor), stdout and stderr.

    `keys` are looked for in what is typed. `shown` counts the bytes written, by stream.
    """

    def __init__(
        self,
        connection: socket.socket,
        *,
        framed: bool,
        stdin: int | None = None,
        keys: DetachKeys | None = None,
    ) -> None:
        self._connection = connection
        self._frames = Frames() if framed else None
        self._stdin = stdin
        self._keys = keys
        self._unsent = b""
        self._input_over = stdin is None
        self.shown = {STDOUT: 0, STDERR: 0}

    def run(self, early: bytes = b"") -> bool:
        """Whether the keys to detach were typed; else the other end has said everything.

        Neither direction waits for the other: a program may write before it has read all.
        """
        # A socket that is written to must not block, or its output would not be read meanwhile.
        self._connection.setblocking(False)
        self.show(early)
        while True:
            readable, writable, _ = select.select(*self._wanted(), [])
            if self._connection in readable and not self._receive():
                return False
            if writable:
                self._send()
            if self._stdin in readable and self._read():
                return True

    def show(self, data: bytes) -> None:
        """Write output, whichever stream it is of."""
        pieces = [(STDOUT, data)] if self._frames is None else self._frames.feed(data)
        for stream, content in pieces:
            self.shown[stream] = self.shown.get(stream, 0) + len(content)
            write(2 if stream == STDERR else 1, content)

    def _wanted(self) -> tuple[list[socket.socket | int], list[socket.socket]]:
        reading: list[socket.socket | int] = [self._connection]
        if self._stdin is not None and not self._unsent and not self._input_over:
            reading.append(self._stdin)
        return reading, [self._connection] if self._unsent else []

    def _receive(self) -> bool:
        try:
            data = self._connection.recv(_READ_BYTES)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        self.show(data)
        return bool(data)

    def _read(self) -> bool:
        """Whether what was typed completes the keys to detach."""
        assert self._stdin is not None
        try:
            data = os.read(self._stdin, _READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""  # the terminal hung up, or there is no stdin at all
        if not data:
            self._input_over = True
            self._unsent += self._keys.rest() if self._keys else b""
            self._close_half()
            return False
        detached = False
        if self._keys is not None:
            data, detached = self._keys.feed(data)
        self._unsent += data
        if data and not detached:
            self._send()
        return detached

    def _send(self) -> None:
        try:
            self._unsent = self._unsent[self._connection.send(self._unsent) :]
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            # A program that has ended reads no more; its output is still on its way here.
            self._unsent = b""
            self._input_over = True
        self._close_half()

    def _close_half(self) -> None:
        if self._input_over and not self._unsent:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_WR)


def write(descriptor: int, data: bytes) -> None:
    """Write all of it, waiting for a slow reader.  Raises: BrokenPipeError."""
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
