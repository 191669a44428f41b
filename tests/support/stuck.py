"""A way to a registry that can be blocked: nothing goes through it then, and no connection ends."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PIECE = 1 << 14
_LOOK_S = 0.02


class Way:
    """A relay to a server. `block` after so many bytes more have come from there; `open` again.
    `waiting` counts the clients whose connections are open."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._left: float = float("inf")
        self._closing = False
        self._lock = threading.Lock()
        self.waiting = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def block(self, after: int = 0) -> None:
        self._left = after

    def open(self) -> None:
        self._left = float("inf")

    def close(self) -> None:
        self._closing = True
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        self._listener.settimeout(_LOOK_S)
        while not self._closing:
            with contextlib.suppress(TimeoutError):
                client = self._listener.accept()[0]
                client.settimeout(None)
                thread = threading.Thread(target=self._relay, args=(client,))
                self._threads.append(thread)
                thread.start()

    def _relay(self, client: socket.socket) -> None:
        with self._lock:
            self.waiting += 1
        try:
            with client, socket.create_connection(self._target) as server:
                self._pump(client, server)
        except OSError:
            pass
        finally:
            with self._lock:
                self.waiting -= 1

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        with selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            while not self._closing:
                for key, _ in ready.select(_LOOK_S):
                    source, to = key.fileobj, key.data
                    assert isinstance(source, socket.socket)
                    if source is server and self._left <= 0:
                        # What it says is left to wait; a client that goes is seen all the same.
                        continue
                    data = source.recv(_PIECE)
                    if not data:
                        return
                    if source is server:
                        self._left -= len(data)
                    to.sendall(data)
                if self._left <= 0:
                    threading.Event().wait(_LOOK_S)


@contextmanager
def way_to(host: str) -> Iterator[Way]:
    """A way to the server at host:port, closed with the block."""
    name, _, port = host.rpartition(":")
    way = Way((name, int(port)))
    try:
        yield way
    finally:
        way.close()
