"""Handlers in tasks of their own: a client's going away is a cancellation like any other then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def called(handler: Handler, request: web.Request) -> web.StreamResponse:
    """What the handler answers.

    When the client goes away, aiohttp cancels its task as asyncio does, at whatever it awaits:
    no shield holds that off. Passed on to a task of ours it is anyio's, and what is shielded, a
    container's start or the undoing of a mount, ends as it must.
    """
    answer: web.StreamResponse | None = None
    failure: Exception | None = None

    async def run() -> None:
        nonlocal answer, failure
        try:
            answer = await handler(request)
        except Exception as error:
            failure = error

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
    if failure is not None:
        raise failure
    assert answer is not None
    return answer
