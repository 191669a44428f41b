"""A thread that takes pieces of data in order and hands each to a function.

Hashing, decompressing and writing release the interpreter's lock, so lanes in a row use as many
cores as they are. A full lane stops the one before it: memory stays bounded.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

_WAITING = 4


class Lane:
    """One such thread, running from the start; `close` or `abandon` ends it."""

    def __init__(self, name: str, consume: Callable[[bytes], None]) -> None:
        self._consume = consume
        self._queue: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, data: bytes) -> None:
        """Nothing, once data is queued. Raises: what consuming earlier data raised."""
        if self._error is not None:
            raise self._error
        self._queue.put(data)

    def close(self) -> None:
        """Nothing, once everything is consumed. Raises: what consuming raised."""
        self._end()
        if self._error is not None:
            raise self._error

    def abandon(self) -> None:
        """Nothing, once the thread has ended; what waits is passed over."""
        self._error = self._error or RuntimeError("abandoned")
        self._end()

    def _end(self) -> None:
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (data := self._queue.get()) is not None:
            # After an error the queue is still emptied, or whoever fills it would wait for ever.
            if self._error is None:
                try:
                    self._consume(data)
                except BaseException as error:
                    self._error = error
