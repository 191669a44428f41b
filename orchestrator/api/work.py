"""Long work as an answer: lines of progress, then a result or an error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import anyio
from aiohttp import web

from orchestrator.api.status import body_of
from orchestrator.api.streams import JsonLines, json_lines
from orchestrator.errors import PystackError
from orchestrator.model.events import Progress, Report

Work = Callable[[Report], Awaitable[Mapping[str, object]]]


async def worked(request: web.Request, work: Work) -> web.StreamResponse:
    """The answer that tells the work's progress as `{"progress": …}` lines and ends with
    `{"result": …}` or `{"error": …}`."""
    async with json_lines(request) as lines:
        await tell_work(lines, work)
    return lines.response


async def tell_work(lines: JsonLines, work: Work) -> None:
    """Nothing, once the work is done and told."""
    send, receive = anyio.create_memory_object_stream[Progress](100_000)

    def report(progress: Progress) -> None:
        # A client that does not read loses progress, never the result.
        if send.statistics().current_buffer_used < 99_000:
            send.send_nowait(progress)

    async def tell() -> None:
        async for progress in receive:
            await lines.send({"progress": progress})

    last: dict[str, object]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tell)
        try:
            last = {"result": await work(report)}
        except PystackError as error:
            last = {"error": body_of(error)}
        finally:
            send.close()
    receive.close()
    await lines.send(last)
