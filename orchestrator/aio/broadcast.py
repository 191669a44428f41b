"""One publisher, many listeners, nobody waits.

A listener that does not keep up is cut off rather than slowing the publisher or growing without
bound; it sees the end of its stream and may subscribe again.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager
from typing import Generic, TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

T = TypeVar("T")


class Broadcast(Generic[T]):
    """A stream of items that any number of subscribers receive from the moment they subscribe."""

    def __init__(self) -> None:
        self._listeners: set[MemoryObjectSendStream[T]] = set()

    def __len__(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def publish(self, item: T) -> None:
        """Nothing, at once; listeners whose buffer is full are cut off."""
        for listener in list(self._listeners):
            try:
                listener.send_nowait(item)
            except anyio.WouldBlock:
                self._listeners.discard(listener)
                listener.close()
            except anyio.BrokenResourceError:
                self._listeners.discard(listener)

    @contextmanager
    def subscribe(self, buffer: float = 4096) -> Generator[MemoryObjectReceiveStream[T]]:
        """A stream of what is published while the block lasts; `buffer` items may wait in it."""
        send, receive = anyio.create_memory_object_stream[T](buffer if buffer != 0 else math.inf)
        self._listeners.add(send)
        with receive:
            try:
                yield receive
            finally:
                self._listeners.discard(send)
                send.close()
