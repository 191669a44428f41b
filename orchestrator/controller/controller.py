"""All stacks: their wishes as records, and a loop for each.

A wish is stored before anything is done for it, so that an engine that is killed in the middle
leaves its successor with the same wish.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream

from orchestrator.controller.diff import Desired
from orchestrator.controller.execute import Executor, Nouns
from orchestrator.controller.health import Readiness, readiness
from orchestrator.controller.loop import StackLoop, Status
from orchestrator.controller.observe import observe
from orchestrator.controller.observed import Observed
from orchestrator.controller.plan import Plan
from orchestrator.errors import NotFound
from orchestrator.model.events import Progress
from orchestrator.model.stack import Stack
from orchestrator.state import labels
from orchestrator.state.database import Database
from orchestrator.state.stacks import StackRecord, Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """What `up` may be told beside the stack; `services` empty means all."""

    build: bool = False
    pull: str = ""
    recreate: str = "diverged"
    remove_orphans: bool = False
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A wish that was made: which loop has it, as which generation, since when (Unix seconds)."""

    loop: StackLoop
    generation: int
    since: float

    async def settled(self) -> Status:
        """The status, once the wish is met, can't be, or is replaced by another."""
        return await self.loop.settled(self.generation)


class Controller:
    """Keeps every stack as it is wanted; `tasks` is where the loops live."""

    def __init__(self, database: Database, nouns: Nouns, tasks: TaskGroup) -> None:
        self._database = database
        self._nouns = nouns
        self._changes = nouns.containers.changes
        self._executor = Executor(nouns, self._changes)
        self._tasks = tasks
        self._loops: dict[str, StackLoop] = {}

    def resume(self) -> None:
        """Nothing; the loops of all stacks that were wanted before go on."""
        for record in self._database.stacks:
            self._begin(record, _desired(record), tried_before=True)

    # -- wishes ----------------------------------------------------------------------------

    def plan_up(self, stack: Stack, options: UpOptions) -> Plan:
        """What `up` would do now."""
        desired = self._up(stack, options, time.time())
        return StackLoop(
            stack.name, self._observe, self._executor, self._changes, lambda _: None
        ).plan(desired)

    def up(self, stack: Stack, options: UpOptions) -> Ticket:
        """The wish that the stack runs."""
        record = self._record(stack, "running")
        record = replace(record, services=self._chosen(stack.name, options.services))
        desired = self._up(stack, options, record.changed_at)
        return self._want(record, replace(desired, only=frozenset(record.services)))

    def _chosen(self, name: str, services: tuple[str, ...]) -> tuple[str, ...]:
        """The services wanted from now on: those named beside those wanted already; () for all."""
        known = self._database.stacks.get(name)
        if not services or known is None or known.wish != "running":
            return services
        return tuple(dict.fromkeys((*known.services, *services))) if known.services else ()

    def stop(self, name: str, grace_s: float | None) -> Ticket:
        """The wish that the stack is stopped.  Raises: NotFound."""
        known = self.record(name)
        record = replace(self._record(known.stack, "stopped"), stop_grace_s=grace_s)
        return self._want(record, _desired(record))

    def start(self, name: str) -> Ticket:
        """The wish that the stack runs again.  Raises: NotFound."""
        known = self.record(name)
        record = replace(self._record(known.stack, "running"), services=known.services)
        return self._want(record, _desired(record))

    def down(
        self, name: str, stack: Stack | None, *, volumes: bool, grace_s: float | None
    ) -> Ticket:
        """The wish that nothing of the stack is left.

        Works for a stack without a record too: its containers, networks and volumes carry its name.
        """
        known = self._database.stacks.get(name)
        of_file = stack or Stack(name=name)
        record = self._record(known.stack if known else of_file, "removed")
        record = replace(record, remove_volumes=volumes, stop_grace_s=grace_s)
        return self._want(record, _desired(record))

    def _record(self, stack: Stack, wish: Wish) -> StackRecord:
        known = self._database.stacks.get(stack.name)
        loop = self._loops.get(stack.name)
        before = max(known.generation if known else 0, loop.status.generation if loop else 0)
        return StackRecord(
            id=stack.name, stack=stack, wish=wish, generation=before + 1, changed_at=time.time()
        )

    def _want(self, record: StackRecord, desired: Desired) -> Ticket:
        self._database.stacks.put(record)
        return self._begin(record, desired)

    def _begin(
        self, record: StackRecord, desired: Desired, *, tried_before: bool = False
    ) -> Ticket:
        loop = self._loop(record.id)
        loop.want(desired, record.generation, tried_before=tried_before)
        if not loop.running:
            loop.running = True
            self._tasks.start_soon(loop.run, name=f"stack {record.id}")
        return Ticket(loop=loop, generation=record.generation, since=record.changed_at)

    def _up(self, stack: Stack, options: UpOptions, since: float) -> Desired:
        names = frozenset(options.services) or frozenset(s.name for s in stack.services)
        refresh = {
            s.name
            for s in stack.services
            if s.name in names
            and (
                (s.build is not None and (options.build or s.pull_policy == "build"))
                or (s.build is None and "always" in (options.pull, s.pull_policy))
            )
        }
        return Desired(
            stack=stack,
            since=since,
            refresh=frozenset(refresh),
            force=names if options.recreate == "force" else frozenset(),
            never_recreate=options.recreate == "never",
            only=frozenset(options.services),
            remove_orphans=options.remove_orphans,
        )

    # -- watching --------------------------------------------------------------------------

    def record(self, name: str) -> StackRecord:
        """The stack's record.  Raises: NotFound."""
        found = self._database.stacks.get(name)
        if found is None:
            raise NotFound(
                f"no such stack: {name}",
                code="no-such-stack",
                about=name,
                hint="`pystack ls` lists the stacks, `pystack up` starts one",
            )
        return found

    def records(self) -> Iterable[StackRecord]:
        """The records of all stacks, by name."""
        return sorted(self._database.stacks, key=lambda r: r.id)

    def observed(self, stack: Stack) -> Observed:
        """What is there of the stack."""
        return observe(stack, self._database, self._nouns.images)

    def known(self, name: str) -> bool:
        """Whether anything of a stack of that name is there."""
        return (
            self._database.stacks.get(name) is not None
            or bool(self._nouns.containers.labelled(labels.PROJECT, name))
            or any(n.labels.get(labels.PROJECT) == name for n in self._database.networks)
            or any(v.labels.get(labels.PROJECT) == name for v in self._database.volumes)
        )

    @asynccontextmanager
    async def progress(self, name: str) -> AsyncIterator[MemoryObjectReceiveStream[Progress]]:
        """The progress of the stack's loop while the block lasts."""
        with self._loop(name).progress.subscribe() as stream:
            yield stream

    async def ready(self, stack: Stack, services: frozenset[str], since: float) -> Readiness:
        """Whether all became healthy (or ended well), as soon as that is known."""

        def look() -> Readiness | None:
            result = readiness(self.observed(stack), stack, services, since)
            return None if result.pending else result

        return await self._changes.until(look)

    # -- loops -----------------------------------------------------------------------------

    def _observe(self, desired: Desired) -> Observed:
        return self.observed(desired.stack)

    def _loop(self, name: str) -> StackLoop:
        loop = self._loops.get(name)
        if loop is None:
            loop = StackLoop(name, self._observe, self._executor, self._changes, self._gone)
            self._loops[name] = loop
        return loop

    def _gone(self, name: str) -> None:
        self._database.stacks.delete(name)
        del self._loops[name]


def _desired(record: StackRecord) -> Desired:
    return Desired(
        stack=record.stack,
        wish=record.wish,
        since=record.changed_at,
        only=frozenset(record.services),
        remove_volumes=record.remove_volumes,
        grace_s=record.stop_grace_s,
    )
