"""Relaying UDP: each client gets a socket of its own towards the container, until it is quiet."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

_QUIET_S = 60.0
_MOST_CLIENTS = 1024
_BATCH = 64
_LARGEST = 65535
Place = tuple[str, int]
Client = tuple[str, int, int, int]


@dataclass(slots=True)
class _Session:
    towards: socket.socket
    used_at: float


class DatagramRelay:
    """The relay of one bound socket; `places` are those whom new clients go to in turn."""

    def __init__(self, bound: socket.socket, places: Sequence[Place]) -> None:
        self._bound = bound.dup()
        self._bound.setblocking(False)
        self.places = places
        self._turn = 0
        self._sessions: OrderedDict[Client, _Session] = OrderedDict()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._bound.fileno(), self._from_clients)

    def close(self) -> None:
        """Nothing; nothing is relayed any more."""
        self._loop.remove_reader(self._bound.fileno())
        self._bound.close()
        for client in list(self._sessions):
            self._end(client)

    def _from_clients(self) -> None:
        for _ in range(_BATCH):
            try:
                data, client = self._bound.recvfrom(_LARGEST)
            except OSError:
                return
            session = self._session(client)
            if session is not None:
                with suppress(OSError):  # nobody listens there, or its queue is full
                    session.towards.send(data)

    def _session(self, client: Client) -> _Session | None:
        now = time.monotonic()
        session = self._sessions.get(client)
        if session is None:
            # The least used come first: those that are quiet, or one when there are too many.
            while self._sessions:
                first, oldest = next(iter(self._sessions.items()))
                if now - oldest.used_at < _QUIET_S and len(self._sessions) < _MOST_CLIENTS:
                    break
                self._end(first)
            session = self._open(client)
            if session is None:
                return None
        session.used_at = now
        self._sessions.move_to_end(client)
        return session

    def _open(self, client: Client) -> _Session | None:
        if not self.places:
            return None
        self._turn += 1
        place = self.places[self._turn % len(self.places)]
        family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
        towards = socket.socket(family, socket.SOCK_DGRAM)
        try:
            towards.setblocking(False)
            towards.connect(place)
        except OSError:
            towards.close()
            return None
        session = self._sessions[client] = _Session(towards, 0.0)
        self._loop.add_reader(towards.fileno(), self._from_container, client, towards)
        return session

    def _from_container(self, client: Client, towards: socket.socket) -> None:
        for _ in range(_BATCH):
            try:
                data = towards.recv(_LARGEST)
            except OSError:
                return
            if client in self._sessions:
                self._sessions[client].used_at = time.monotonic()
                self._sessions.move_to_end(client)
            with suppress(OSError):
                self._bound.sendto(data, client)

    def _end(self, client: Client) -> None:
        session = self._sessions.pop(client)
        self._loop.remove_reader(session.towards.fileno())
        session.towards.close()
