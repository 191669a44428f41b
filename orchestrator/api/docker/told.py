"""Long work told as Docker's clients read it: lines of JSON messages, the last one an error where
it failed.

Source: Docker's jsonmessage format: `stream`, `status`, `id`, `progressDetail`, `errorDetail`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import anyio
from aiohttp import web

from orchestrator.api.status import body_of
from orchestrator.api.streams import json_lines
from orchestrator.errors import PystackError
from orchestrator.model.events import Progress, Report

Message = Mapping[str, Any]
_WAITING = 1000


async def told(
    request: web.Request,
    work: Callable[[Report], Awaitable[Iterable[Message]]],
    *,
    quiet: bool = False,
) -> web.StreamResponse:
    """The answer: a message for each step that has one, then those that the work comes to.

    A failure has Docker's two fields and this engine's own: code, about and hint."""
    send, receive = anyio.create_memory_object_stream[Progress](_WAITING)

    def report(progress: Progress) -> None:
        # A client that does not read loses progress, never the outcome.
        if not quiet and send.statistics().current_buffer_used < _WAITING - 1:
            send.send_nowait(progress)

    async with json_lines(request) as lines:
        last: list[Message] = []

        async def tell() -> None:
            async for progress in receive:
                await lines.send(message_of(progress))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tell)
            try:
                last = list(await work(report))
            except PystackError as error:
                last = [{"errorDetail": body_of(error), "error": error.message}]
            finally:
                send.close()
        receive.close()
        for message in last:
            await lines.send(message)
    return lines.response


def message_of(progress: Progress) -> Message:
    """A step as Docker tells it; its id is the short name of the layer where it is about one."""
    status = progress.step[:1].upper() + progress.step[1:]
    if progress.total:
        detail = {"current": progress.current, "total": progress.total}
        return {"status": status, "id": progress.detail, "progressDetail": detail}
    text = f"{status}: {progress.detail}" if progress.detail else status
    return {"status": text, "id": progress.subject}
