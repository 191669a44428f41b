"""A terminal or pipe joined to a container's stdio: what `run` and `start -a` do in front."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from orchestrator.cli.session import Session
from orchestrator.client.frames import STDERR, Frames
from orchestrator.errors import PystackError

_READ_BYTES = 65536
_DETACH = b"\x10\x11"  # Ctrl-P Ctrl-Q
_PROXIED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")


def run_attached(
    session: Session, container: str, start: Callable[[], None], *, stdin: bool, tty: bool
) -> bool:
    """Attach, start, and carry bytes until the container's output ends; False if detached.

    Attaching comes first, or the first output would be missed.
    """
    connection, early = session.engine.hijack(
        f"/containers/{container}/attach", stream=True, stdin=stdin, stdout=True, stderr=True
    )
    with connection, _signals_to(session, container, proxy=not tty):
        start()
        with _raw(stdin and tty):
            if tty:
                _follow_size(session, container)
            return _Relay(connection, tty=tty, stdin=stdin).run(early)


class _Relay:
    """Bytes between this process' stdio and the container's."""

    def __init__(self, connection: socket.socket, *, tty: bool, stdin: bool) -> None:
        self._connection = connection
        self._frames = None if tty else Frames()
        self._tty = tty
        self._sources: list[Any] = [connection]
        if stdin:
            self._sources.append(sys.stdin.fileno())
        self._last = b""

    def run(self, early: bytes) -> bool:
        self._show(early)
        while True:
            for ready in select.select(self._sources, [], [])[0]:
                if ready is not self._connection:
                    if not self._send(os.read(ready, _READ_BYTES)):
                        return False
                    continue
                try:
                    data = self._connection.recv(_READ_BYTES)
                except ConnectionResetError:
                    data = b""
                if not data:
                    return True
                self._show(data)

    def _show(self, data: bytes) -> None:
        if self._frames is None:
            _write(1, data)
            return
        for stream, content in self._frames.feed(data):
            _write(2 if stream == STDERR else 1, content)

    def _send(self, data: bytes) -> bool:
        """False when the keys to detach were typed."""
        if self._tty:
            keys = self._last + data
            self._last = keys[-1:]
            if _DETACH in keys:
                return False
        # A container that has ended reads no more; its output is still on its way here.
        with suppress(BrokenPipeError, ConnectionResetError):
            if data:
                self._connection.sendall(data)
            else:
                self._sources.pop()
                self._connection.shutdown(socket.SHUT_WR)
        return True


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


@contextmanager
def _signals_to(session: Session, container: str, *, proxy: bool) -> Iterator[None]:
    """Hand the signals this process gets on to the container while the block lasts."""

    def hand_on(number: int, _: object) -> None:
        # The container may not run yet, or no more: then there is nobody to hand it to.
        with suppress(PystackError):
            session.engine.post(f"/containers/{container}/kill", signal=str(number))

    names = _PROXIED if proxy else ("SIGTERM", "SIGHUP")
    before = {number: signal.signal(number, hand_on) for number in map(_number, names)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.signal(signal.SIGWINCH, signal.SIG_DFL)


def _number(name: str) -> signal.Signals:
    return signal.Signals[name]


def _follow_size(session: Session, container: str) -> None:
    """Give the container's terminal this one's size, now and whenever it changes."""
    if not sys.stdout.isatty():
        return

    def resize(*_: object) -> None:
        size = os.get_terminal_size(sys.stdout.fileno())
        with suppress(PystackError):
            session.engine.post(f"/containers/{container}/resize", h=size.lines, w=size.columns)

    signal.signal(signal.SIGWINCH, resize)
    resize()


@contextmanager
def _raw(wanted: bool) -> Iterator[None]:
    """The terminal hands every key on as it is while the block lasts: Ctrl-C is the container's."""
    if not wanted or not sys.stdin.isatty():
        yield
        return
    import termios  # noqa: PLC0415
    import tty  # noqa: PLC0415

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setraw(descriptor, termios.TCSANOW)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSANOW, before)
