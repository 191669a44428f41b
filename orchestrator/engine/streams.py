"""The streams of containers' first processes, and who has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import anyio

from orchestrator.aio.lasting import Tasks
from orchestrator.engine.container_records import ContainerRecords
from orchestrator.runtime.attach import Attachment, attach, resize
from orchestrator.runtime.paths import Bundle

# How long a start waits for one who asked for its streams before, and is slow to take them.
_TAKING_S = 2.0


@dataclass(eq=False, slots=True)
class _Waiting:
    """One who waits for a container's start: `created` when its streams are there, `ready` when
    they were taken."""

    created: anyio.Event = field(default_factory=anyio.Event)
    ready: anyio.Event = field(default_factory=anyio.Event)


class Streams:
    """Attaches clients; `tasks` is where the streams live that must be read to their end."""

    def __init__(self, records: ContainerRecords, tasks: Tasks) -> None:
        self._records = records
        self._tasks = tasks
        self._waiting: dict[str, list[_Waiting]] = {}
        self._clients: Counter[str] = Counter()

    @asynccontextmanager
    async def attached(
        self,
        identifier: str,
        bundle: Bundle,
        *,
        with_input: bool = True,
        size: tuple[int, int] | None = None,
        waiting: bool = True,
    ) -> AsyncGenerator[Attachment | None]:
        """The running container's streams; of one that is to be started, from its first byte.

        `size` is its terminal's, in rows and columns. None where it went away before it was
        started, or does not run and its start is not to be waited for.
        """
        if self._records.get(identifier).running:
            async with self._joined(identifier, bundle, with_input, size) as session:
                yield session
            return
        if not waiting:
            yield None
            return
        one = _Waiting()
        self._waiting.setdefault(identifier, []).append(one)
        try:
            await one.created.wait()
            if self._records.find(identifier) is None:
                yield None
                return
            async with self._joined(identifier, bundle, with_input, size) as session:
                one.ready.set()
                yield session
        finally:
            # One who has left in the meantime must not hold up the start.
            one.ready.set()
            self._leave(identifier, one)

    def clients_of(self, identifier: str) -> int:
        """How many are attached to the container now."""
        return self._clients[identifier]

    async def let_attach(self, identifier: str) -> None:
        """Nothing, once whoever waits for the container's streams has them."""
        for one in self._waiting.pop(identifier, ()):
            one.created.set()
            with anyio.move_on_after(_TAKING_S):
                await one.ready.wait()

    def gone(self, identifier: str) -> None:
        """Nothing; whoever waits for the container's streams learns that there will be none."""
        for one in self._waiting.pop(identifier, ()):
            one.created.set()

    @asynccontextmanager
    async def _joined(
        self, identifier: str, bundle: Bundle, with_input: bool, size: tuple[int, int] | None
    ) -> AsyncGenerator[Attachment]:
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(attach(bundle.path))
            if size is not None:
                resize(bundle.path, rows=size[0], columns=size[1])
            if bundle.stdin_once and not with_input:
                # conmon takes the end of any connection for the end of the input.
                stack.push_async_callback(self._keep_open, stack, session)
            self._clients[identifier] += 1
            try:
                yield session
            finally:
                self._clients[identifier] -= 1
                if not self._clients[identifier]:
                    del self._clients[identifier]

    async def _keep_open(self, stack: AsyncExitStack, session: Attachment) -> None:
        self._tasks.start_soon(_discarded, stack.pop_all(), session)

    def _leave(self, identifier: str, one: _Waiting) -> None:
        waiting = self._waiting.get(identifier, [])
        if one in waiting:
            waiting.remove(one)
            if not waiting:
                del self._waiting[identifier]


async def _discarded(stack: AsyncExitStack, session: Attachment) -> None:
    async with stack:
        async for _ in session.output():
            pass
