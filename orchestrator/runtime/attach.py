"""Talking to a container's standard streams through conmon.

conmon listens on a SEQPACKET socket in the bundle: each packet it sends is one stream's number (2
is stdout, 3 is stderr) and bytes; packets sent to it go to the container's stdin. A second way, a
fifo, takes control lines.  Source: conmon's conn_sock.c and ctrl.c.
"""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from orchestrator.errors import Conflict

_RESIZE = 1
_PACKET = 1 << 15
# conmon reads stdin in pieces of this size and would drop the rest of a longer packet.
_STDIN_PACKET = 8192
_LARGEST_WINDOW = 1000
_ACCEPTED_WITHIN_S = 10.0
_ASK_AGAIN_S = 0.01
_STREAMS = {2: 1, 3: 2}


class Attachment:
    """A connection to the streams of one running container; see `attach`."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    async def output(self) -> AsyncGenerator[tuple[int, bytes]]:
        """Pieces of output as (1 for stdout or 2 for stderr, bytes), until the container ends.

        With a terminal everything is stdout. Nothing that was written before is told.
        """
        reset = False
        while True:
            await anyio.wait_readable(self._socket)
            try:
                packet = self._socket.recv(_PACKET)
            except BlockingIOError:
                continue
            except ConnectionResetError:
                # conmon went with input unread. That is told before what it had sent, once.
                if reset:
                    return
                reset = True
                continue
            if not packet:
                return
            if (stream := _STREAMS.get(packet[0])) is not None and len(packet) > 1:
                yield stream, packet[1:]

    async def write(self, data: bytes) -> bool:
        """Give `data` to the container's stdin; False when it takes no more."""
        view = memoryview(data)
        while view:
            await anyio.wait_writable(self._socket)
            try:
                view = view[self._socket.send(view[:_STDIN_PACKET]) :]
            except BlockingIOError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                return False
        return True

    def end_input(self) -> None:
        """Say that no more stdin comes; the container sees that if its bundle is `stdin_once`."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return


@asynccontextmanager
async def attach(attach_dir: Path) -> AsyncIterator[Attachment]:
    """A connection to the container whose bundle is `attach_dir`, while the block lasts.

    Raises: Conflict: nothing listens there, so the container does not run.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    connection.setblocking(False)
    try:
        try:
            # Through the directory's descriptor, because a socket's address has at most 107 bytes.
            directory = os.open(attach_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                await _connect(connection, f"/proc/self/fd/{directory}/attach")
            finally:
                os.close(directory)
        except OSError as error:
            raise Conflict(
                "the container is not running",
                code="container-not-running",
                about=attach_dir.name,
                hint="start it first",
            ) from error
        yield Attachment(connection)
    finally:
        connection.close()


async def _connect(connection: socket.socket, address: str) -> None:
    """conmon lets ten connections wait to be accepted; there is no way to wait for its turn but to
    ask again.  Source: unix(7), EAGAIN of connect."""
    with anyio.fail_after(_ACCEPTED_WITHIN_S):
        while True:
            try:
                connection.connect(address)
            except BlockingIOError:
                await anyio.sleep(_ASK_AGAIN_S)
            else:
                return


def resize(attach_dir: Path, *, rows: int, columns: int) -> bool:
    """Give the container's terminal a new size; False when it does not run.

    conmon takes at most 1000 either way.
    """
    rows, columns = (max(0, min(_LARGEST_WINDOW, size)) for size in (rows, columns))
    return control(attach_dir / "ctl", f"{_RESIZE} {rows} {columns}\n".encode())


def control(fifo: Path, line: bytes) -> bool:
    """Send conmon a control line; False when it is gone."""
    try:
        # Without O_NONBLOCK, opening a fifo waits for its reader.
        fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.write(fd, line) == len(line)
    except OSError:
        return False
    finally:
        os.close(fd)
