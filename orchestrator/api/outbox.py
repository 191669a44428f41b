"""Output on its way to one client, whose slowness is nobody else's.

What the client does not take at once is kept in a file without a name, as a ring of bounded size.
When that is full too, whoever writes waits where this is the only client, as a pipe would have it;
where there are others, this one is cut off.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.api.streams import Hijacked

_MOST_KEPT = 256 << 20
_PIECE = 1 << 18
_LOOK_AGAIN_S = 1.0


class Outbox:
    """What goes out to `stream`; `directory` is for the file, `alone` asks whether nobody else
    has the same output. A context manager; `pump` must run while it is open."""

    def __init__(
        self,
        stream: Hijacked,
        directory: Path,
        alone: Callable[[], bool],
        *,
        most_kept: int = _MOST_KEPT,
    ) -> None:
        self._stream = stream
        self._directory = directory
        self._alone = alone
        self._most = most_kept
        self._fd = -1
        self._put_in = 0
        self._taken_out = 0
        self._more = anyio.Event()
        self._less = anyio.Event()

    def __enter__(self) -> Outbox:
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    async def put(self, data: bytes) -> None:
        """Nothing, once the bytes are on their way or kept."""
        if self._put_in == self._taken_out and self._stream.has_room:
            self._stream.write(data)
            return
        view = memoryview(data)
        while view and not self._stream.gone:
            room = self._most - (self._put_in - self._taken_out)
            if not room:
                await self._full()
                continue
            at = self._put_in % self._most
            piece = view[: min(room, self._most - at)]
            await to_thread.run_sync(self._write, bytes(piece), at)
            self._put_in += len(piece)
            view = view[len(piece) :]
            self._more.set()

    async def flush(self) -> None:
        """Nothing, once the client has been sent everything that was kept, or is gone."""
        while self._put_in != self._taken_out and not self._stream.gone:
            await self._less.wait()
        await self._stream.drain()

    async def pump(self) -> None:
        """Send what is kept as the client takes it, until cancelled."""
        while True:
            await self._more.wait()
            self._more = anyio.Event()
            while kept := self._put_in - self._taken_out:
                await self._stream.drain()
                at = self._taken_out % self._most
                size = min(kept, _PIECE, self._most - at)
                piece = await to_thread.run_sync(os.pread, self._fd, size, at)
                self._stream.write(piece)
                self._taken_out += len(piece)
                self._less.set()
                self._less = anyio.Event()

    async def _full(self) -> None:
        if not self._alone():
            self._stream.cut_off()
            return
        # Somebody else may come, so it is asked again.
        with anyio.move_on_after(_LOOK_AGAIN_S):
            await self._less.wait()

    def _write(self, data: bytes, at: int) -> None:
        if self._fd < 0:
            file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 (kept open)
            self._fd = os.dup(file.fileno())
            file.close()
        view = memoryview(data)
        while view:
            written = os.pwrite(self._fd, view, at)
            view, at = view[written:], at + written
