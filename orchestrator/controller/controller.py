"""All stacks: their wishes as records, and a loop for each.

A wish is stored before anything is done for it, so that an engine that is killed in the middle
leaves its successor with the same wish.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from anyio.streams.memory import MemoryObjectReceiveStream

from orchestrator.aio.lasting import Tasks, lasting
from orchestrator.controller.desired import one_off_spec
from orchestrator.controller.diff import diff, ingredients
from orchestrator.controller.execute import Executor, Nouns
from orchestrator.controller.gates import GateState
from orchestrator.controller.health import Readiness, readiness
from orchestrator.controller.history import History
from orchestrator.controller.loop import StackLoop, Status
from orchestrator.controller.observe import observe, version
from orchestrator.controller.observed import Observed
from orchestrator.controller.plan import Action, Gate, Judgement, Plan
from orchestrator.controller.wishes import (
    UpOptions,
    wanted_restarted,
    wanted_started,
    wanted_stopped,
    wanted_up,
)
from orchestrator.engine.events import Events
from orchestrator.errors import NotFound
from orchestrator.model.events import Progress, Report
from orchestrator.model.observed import Container
from orchestrator.model.stack import Service, Stack
from orchestrator.state import labels
from orchestrator.state.database import Database
from orchestrator.state.stacks import Desired, Proven, StackRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOff:
    """How a one-off container is wanted; `refresh` pulls or builds its image first."""

    name: str = ""
    auto_remove: bool = False
    refresh: bool = False


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
    """Keeps every stack as it is wanted; `tasks` is where the loops live, `now` the clock of all
    that is compared, which must not jump."""

    def __init__(
        self,
        database: Database,
        nouns: Nouns,
        events: Events,
        tasks: Tasks,
        kept: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._now = now
        self._database = database
        self._nouns = nouns
        self._events = events
        self._changes = nouns.containers.changes
        self._executor = Executor(nouns, self._changes)
        self._tasks = tasks
        self._loops: dict[str, StackLoop] = {}
        self.history = History(database.revisions, kept)

    def resume(self) -> None:
        """Nothing; the loops of all stacks that were wanted before go on."""
        for record in self._database.stacks:
            self._begin(record, self._now(), tried_before=True)

    # -- wishes ----------------------------------------------------------------------------

    def plan_up(self, stack: Stack, options: UpOptions) -> Plan:
        """What `up` would do now."""
        desired = self._wanted_up(stack, options, self._now())
        return diff(desired, self.observed(stack))

    def up(self, stack: Stack, options: UpOptions, cause: str = "up") -> Ticket:
        """The wish that the stack runs; `cause` is what the history says of it."""
        now = self._now()
        desired = self._wanted_up(stack, options, now)
        self.history.note(desired.stack, cause)
        return self._want(stack.name, desired, now, cause)

    def roll_back(self, name: str, number: int) -> Ticket:
        """The wish that the stack is again as in that revision, 0 being the one before the last.

        Raises: NotFound: no such stack or revision.
        """
        self.record(name)
        revision = self.history.get(name, number)
        return self.up(revision.stack, UpOptions(), f"rollback to {revision.number}")

    def stop(self, name: str, services: Iterable[str], grace_s: float | None) -> Ticket:
        """The wish that the stack, or some of its services, are stopped.  Raises: NotFound."""
        desired, named, now = *self._known(name, services), self._now()
        return self._want(name, wanted_stopped(desired, named, grace_s, now), now, "stop")

    def start(self, name: str, services: Iterable[str]) -> Ticket:
        """The wish that the stack, or some of its services, run again.  Raises: NotFound."""
        desired, named, now = *self._known(name, services), self._now()
        return self._want(name, wanted_started(desired, named, now), now, "start")

    def restart(self, name: str, services: Iterable[str], grace_s: float | None) -> Ticket:
        """The wish that the containers of the stack, or of some of its services, are started
        anew.  Raises: NotFound."""
        desired, named, now = *self._known(name, services), self._now()
        return self._want(name, wanted_restarted(desired, named, grace_s, now), now, "restart")

    def down(
        self, name: str, stack: Stack | None, *, volumes: bool, grace_s: float | None
    ) -> Ticket:
        """The wish that nothing of the stack is left.

        Works for a stack without a record too: its containers, networks and volumes carry its name.
        """
        before, now = self._before(name), self._now()
        base = before or Desired(stack=stack or Stack(name=name))
        desired = replace(base, wish="removed", since=now, remove_volumes=volumes, grace_s=grace_s)
        return self._want(name, desired, now, "down")

    async def one_off(
        self, stack: Stack, service: Service, options: OneOff, report: Report
    ) -> Container:
        """A container of the service beside those that the stack has, made and not started; its
        image, networks and volumes are made where they are missing.

        Raises: PystackError: one of these cannot be had.
        """
        refresh = frozenset([service.name]) if options.refresh else frozenset[str]()
        desired = Desired(stack=stack, refresh=refresh, since=self._now())
        plan = ingredients(desired, self.observed(stack), service)
        outcome = await self._executor.execute(plan, lambda: _no_gate, report)
        if outcome.failed:
            raise outcome.failed[0][1]
        name = options.name or f"{stack.name}-{service.name}-run-{secrets.token_hex(6)}"
        spec = one_off_spec(stack, service)
        return await self._nouns.containers.create(spec, name, auto_remove=options.auto_remove)

    def _wanted_up(self, stack: Stack, options: UpOptions, now: float) -> Desired:
        desired = wanted_up(stack, options, self._before(stack.name), now)
        if options.pull == "never":
            return desired
        # What was pulled longer ago than the service allows is asked for again, and what was by a
        # clock that was wrong.
        today = time.time()
        old = {
            s.name
            for s in stack.services
            if s.pull_after_s
            and s.build is None
            and (image := self._nouns.images.find(s.container.image)) is not None
            and not 0 <= today - image.pulled_at < s.pull_after_s
        }
        return replace(desired, refresh=desired.refresh | old)

    def _before(self, name: str) -> Desired | None:
        known = self._database.stacks.get(name)
        return known.desired if known is not None else None

    def _known(self, name: str, services: Iterable[str]) -> tuple[Desired, frozenset[str]]:
        desired = self.record(name).desired
        named = frozenset(services)
        for service in sorted(named):
            if desired.stack.service(service) is None:
                raise NotFound(
                    f"stack {name} has no service {service}",
                    code="no-such-service",
                    about=service,
                    hint=f"it has {', '.join(s.name for s in desired.stack.services)}",
                )
        return desired, named

    def _want(self, name: str, desired: Desired, since: float, action: str) -> Ticket:
        known, loop = self._database.stacks.get(name), self._loops.get(name)
        before = max(known.generation if known else 0, loop.status.generation if loop else 0)
        record = StackRecord(id=name, generation=before + 1, desired=desired)
        self._database.stacks.put(record)
        self._tell(name, action)
        return self._begin(record, since)

    def _begin(self, record: StackRecord, since: float, *, tried_before: bool = False) -> Ticket:
        loop = self._loop(record.id)
        loop.want(record.desired, record.generation, tried_before=tried_before)
        if not loop.running:
            loop.running = True
            self._tasks.start_soon(lasting, loop.run, f"stack {record.id}")
        return Ticket(loop=loop, generation=record.generation, since=since)

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

    def drift(self, name: str) -> Plan:
        """What differs now from what is wanted of the stack.  Raises: NotFound."""
        desired = self.record(name).desired
        return diff(desired, self.observed(desired.stack))

    def observed(self, stack: Stack) -> Observed:
        """What is there of the stack."""
        return observe(stack, self._database, self._nouns.images, self._now())

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

    # -- what the loops note ---------------------------------------------------------------

    def judged(self, name: str, judgements: tuple[Judgement, ...]) -> Desired | None:
        """What is wanted of the stack after these decisions about its updates."""
        record = self._database.stacks.get(name)
        if record is None:
            return None
        found = {j.service: j.verdict for j in judgements}
        for service, verdict in found.items():
            self._tell(name, f"update-{verdict.action}", service=service, why=verdict.why)
        verdicts = {**record.desired.verdicts, **found}
        return self._noted(record, replace(record.desired, verdicts=verdicts))

    def refreshed(self, name: str, left: frozenset[str]) -> None:
        """Nothing; only the images of the services in `left` are still to be refreshed."""
        if (record := self._database.stacks.get(name)) is not None:
            self._noted(record, replace(record.desired, refresh=left))

    def met(self, name: str, observed: Observed) -> None:
        """Nothing; the services are noted as they run now, to come back to."""
        record = self._database.stacks.get(name)
        if record is None or record.desired.wish != "running":
            return
        desired = record.desired
        proven = dict(desired.proven)
        for service in desired.stack.services:
            own = observed.of_service(service.name)
            if own and all(c.running for c in own) and service.name not in desired.verdicts:
                proven[service.name] = Proven(service=service, image_id=own[0].image_id)
        if proven != desired.proven:
            self._noted(record, replace(desired, proven=proven))

    def acted(self, name: str, action: Action, *, repair: bool) -> None:
        """Nothing; the history of the stack tells of the action and of its cause."""
        self._tell(name, "repair" if repair else "action", action=action.key, why=action.why)

    def removed(self, name: str) -> None:
        """Nothing; the stack and its history are gone."""
        # Its record last: by that a new engine knows that there is something left to do.
        self.history.forget(name)
        self._database.stacks.delete(name)
        del self._loops[name]
        self._tell(name, "removed")

    def _noted(self, record: StackRecord, desired: Desired) -> Desired:
        self._database.stacks.put(replace(record, desired=desired))
        return desired

    def _tell(self, name: str, what: str, **attributes: str) -> None:
        said: Mapping[str, str] = {k: v for k, v in attributes.items() if v}
        self._events.tell("stack", what, name, {"name": name, **said})

    # -- loops -----------------------------------------------------------------------------

    def _observe(self, desired: Desired) -> Observed:
        return self.observed(desired.stack)

    def _loop(self, name: str) -> StackLoop:
        loop = self._loops.get(name)
        if loop is None:
            loop = StackLoop(
                name,
                self._observe,
                self._executor,
                self._changes,
                self,
                self._now,
                partial(version, database=self._database),
            )
            self._loops[name] = loop
        return loop


def _no_gate(_gate: Gate) -> GateState:
    return GateState(state="open")
