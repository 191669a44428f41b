"""Docker's messages as an answer: lines of JSON while work goes on. Work that fails before it has
said anything is an ordinary error, with a status.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import anyio
from aiohttp import web

from orchestrator.api.streams import JsonLines
from orchestrator.errors import PystackError
from orchestrator.model.events import Progress, Report
from orchestrator.wire.transfers import error_line

Line = Mapping[str, Any]
Work = Callable[[Report], Awaitable[Iterable[Line]]]
_MOST_WAITING = 100_000


async def messages(
    request: web.Request, work: Work, line_of: Callable[[Progress], Line | None]
) -> web.StreamResponse:
    """The answer that tells the work's progress, and ends with the lines it gives or its error.

    Raises: PystackError: the work failed before there was a line to tell.
    """
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    lines = JsonLines(response)
    send, receive = anyio.create_memory_object_stream[Line](_MOST_WAITING)

    def report(progress: Progress) -> None:
        # A client that does not read loses progress, never the result.
        if send.statistics().current_buffer_used < _MOST_WAITING - 1 and (
            line := line_of(progress)
        ):
            send.send_nowait(line)

    async def tell() -> None:
        async for line in receive:
            if not response.prepared:
                await response.prepare(request)
            await lines.send(line)

    last: Iterable[Line] = ()
    failure: PystackError | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tell)
        try:
            last = await work(report)
        except PystackError as error:
            failure = error
        finally:
            send.close()
    receive.close()
    if failure is not None and not response.prepared:
        raise failure
    if not response.prepared:
        await response.prepare(request)
    for line in [error_line(failure)] if failure else last:
        await lines.send(line)
    if not lines.gone:
        await response.write_eof()
    return response
