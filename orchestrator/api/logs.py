"""Log lines of one container or of a whole stack, as they are written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import anyio

from orchestrator.api.parts import Parts
from orchestrator.model.observed import Container
from orchestrator.supervisor.logline import LogLine
from orchestrator.supervisor.logs import follow


async def container_lines(
    parts: Parts, container: Container, *, lines: int | None, since: float, following: bool
) -> AsyncIterator[LogLine]:
    """The container's lines; with `following` also new ones, until it has ended for good."""
    stop = anyio.Event()
    path = parts.launcher.bundle(container).log_path

    def ended() -> bool | None:
        now = next((c for c in parts.nouns.containers.all() if c.id == container.id), None)
        alive = now is not None and (now.running or now.state.status in ("created", "restarting"))
        return None if alive else True

    async def watch() -> None:
        await parts.nouns.containers.changes.until(ended)
        stop.set()

    if not following:
        stop.set()
    async with anyio.create_task_group() as tasks:
        if following:
            tasks.start_soon(watch)
        async with aclosing(follow(path, lines=lines, since=since, stop=stop)) as found:
            async for line in found:
                yield line
        tasks.cancel_scope.cancel()
