"""Log lines of one container or of a whole stack, as they are written."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio

from orchestrator.api.parts import Parts
from orchestrator.errors import NotFound
from orchestrator.model.observed import Container
from orchestrator.supervisor.logline import LogLine
from orchestrator.supervisor.logs import follow


async def container_lines(
    parts: Parts,
    container: Container,
    *,
    lines: int | None,
    since: float,
    following: bool,
    until: float = 0.0,
) -> AsyncGenerator[LogLine]:
    """The container's lines; with `following` also new ones, until it has ended for good, or
    `until` (Unix seconds, 0 for never) has come."""
    stop = anyio.Event()
    path = parts.launcher.bundle(container).log_path

    def ended() -> bool | None:
        try:
            now = parts.nouns.containers.get(container.id)
        except NotFound:
            return True
        return None if now.running or now.state.status in ("created", "restarting") else True

    async def watch() -> None:
        # A silent container is to be left at that moment too, not at its next line.
        with anyio.move_on_after(max(0.0, until - time.time()) if until else None):
            await parts.nouns.containers.changes.until(ended)
        stop.set()

    # A container that was never started has no directory for its log, and the wait is for one.
    path.parent.mkdir(parents=True, exist_ok=True)
    if not following:
        stop.set()
    async with anyio.create_task_group() as tasks:
        if following:
            tasks.start_soon(watch)
        async with aclosing(
            follow(path, lines=lines, since=since, until=until, stop=stop)
        ) as found:
            async for line in found:
                yield line
        tasks.cancel_scope.cancel()
