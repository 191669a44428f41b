"""Many small writes to one answer, gathered to few large ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from aiohttp import web

_MOST_BYTES = 1 << 18


class Gathered:
    """What is put in goes out as soon as nothing more comes at once; see `gathering`."""

    def __init__(self, response: web.StreamResponse) -> None:
        self._response = response
        self._data = bytearray()
        self._more = anyio.Event()
        self._less = anyio.Event()
        self.gone = False

    async def put(self, data: bytes) -> None:
        """Nothing; waits only for a client that is slow. One that is `gone` gets nothing."""
        self._data += data
        self._more.set()
        while len(self._data) > _MOST_BYTES and not self.gone:
            await self._less.wait()

    async def flush(self) -> None:
        """Nothing, once everything is with the transport."""
        while self._data and not self.gone:
            await self._less.wait()

    async def pump(self) -> None:
        """Send what was put in, until cancelled."""
        while not self.gone:
            await self._more.wait()
            self._more = anyio.Event()
            data = bytes(self._data)
            try:
                await self._response.write(data)
            except (ConnectionError, RuntimeError):
                self.gone = True
            del self._data[: len(data)]
            self._less.set()
            self._less = anyio.Event()


@asynccontextmanager
async def gathering(response: web.StreamResponse) -> AsyncIterator[Gathered]:
    """Gathers for the prepared response; ends it with the block."""
    gathered = Gathered(response)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(gathered.pump)
        yield gathered
        await gathered.flush()
        tasks.cancel_scope.cancel()
    if not gathered.gone:
        await response.write_eof()
