"""The loop that keeps one stack as it is wanted: observe, diff, execute, wait, again.

It wakes on any change of the engine's records, and the same pass serves `up`, a crash, a reboot
and drift.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

import anyio
import structlog

from orchestrator.aio.broadcast import Broadcast
from orchestrator.aio.changes import Changes
from orchestrator.controller.desired import Specs
from orchestrator.controller.diff import diff
from orchestrator.controller.execute import Executor, Outcome
from orchestrator.controller.gates import GateState, gate_state
from orchestrator.controller.observed import Observed
from orchestrator.controller.plan import Action, BuildImage, Gate, Judgement, Plan, PullImage
from orchestrator.engine.faults import told
from orchestrator.errors import Failed, PystackError, Unavailable
from orchestrator.model.events import Progress
from orchestrator.state.stacks import Desired

T = TypeVar("T")

_RETRY_FIRST_S = 1.0
_RETRY_MAX_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How far the loop is with the wish of that generation.

    `settled`: nothing is left to do, or `error` says why it can't be done. `changed` counts the
    actions done for this wish.
    """

    generation: int = 0
    settled: bool = False
    changed: int = 0
    error: PystackError | None = None
    warnings: tuple[str, ...] = ()


class Notes(Protocol):
    """Where the loop notes what it decides and finds, so that an engine after this one knows."""

    def judged(self, name: str, judgements: tuple[Judgement, ...]) -> Desired | None:
        """What is wanted of the stack after these decisions; None: as before."""

    def refreshed(self, name: str, left: frozenset[str]) -> None:
        """Nothing; only the images of the services in `left` are still to be refreshed."""

    def met(self, name: str, observed: Observed) -> None:
        """Nothing; the wish was met, as observed."""

    def acted(self, name: str, action: Action, *, repair: bool) -> None:
        """Nothing; the action was done, as a `repair` where the wish had been met before."""

    def removed(self, name: str) -> None:
        """Nothing; the stack is gone, as it was wanted."""


class StackLoop:
    """One stack's loop. `changes` rings whenever `status` may have changed; `version`, by the
    stack's name, is another whenever `observed` may be."""

    def __init__(
        self,
        name: str,
        observed: Callable[[Desired], Observed],
        executor: Executor,
        changes: Changes,
        notes: Notes,
        now: Callable[[], float] = time.time,
        version: Callable[[str], object] = lambda _: object(),
    ) -> None:
        self.name = name
        self._version = version
        self._now = now
        self.progress: Broadcast[Progress] = Broadcast()
        self.status = Status()
        self._observed = observed
        self._executor = executor
        self._changes = changes
        self._notes = notes
        self._specs = Specs()
        self._desired: Desired | None = None
        self._generation = 0
        self._converged = False
        self.running = False
        self._scope = anyio.CancelScope()
        self._log = structlog.get_logger().bind(stack=name)

    def want(self, desired: Desired, generation: int, *, tried_before: bool = False) -> None:
        """Nothing; what is being done for an earlier wish is given up.

        `tried_before`: the wish was made of an engine before this one, so that a failure is
        answered by trying again and not by telling a person.
        """
        self._desired = desired
        self._generation = generation
        self._converged = tried_before
        self.status = Status(generation=generation)
        self._scope.cancel()
        self._changes.ring()

    def plan(self, desired: Desired) -> Plan:
        """What would be done for this wish now."""
        return diff(desired, self._observed(desired), self._specs)

    def _plan_or_none(self, desired: Desired) -> Plan | None:
        return self.plan(desired) or None

    async def settled(self, generation: int) -> Status:
        """The status, once the wish of that generation is met, can't be, or is replaced."""

        def look() -> Status | None:
            done = self.status.generation > generation or self.status.settled
            return self.status if done else None

        return await self._changes.until(look)

    async def run(self) -> None:
        """Nothing, once the stack was wanted removed and is.

        An error that nobody foresaw is told to whoever waits, and raised.
        """
        try:
            await self._run()
        except Exception as error:
            self._settle(error=told(error, self.name))
            raise

    async def _run(self) -> None:
        self.running = True
        retry_s = _RETRY_FIRST_S
        while (desired := self._desired) is not None:
            with anyio.CancelScope() as self._scope:
                generation = self._generation
                plan = self.plan(desired)
                if plan.judgements:
                    self._desired = self._notes.judged(self.name, plan.judgements) or desired
                    continue
                if not plan:
                    retry_s = _RETRY_FIRST_S
                    self._met(desired, plan)
                    if desired.wish == "removed":
                        self.running = False
                        self._notes.removed(self.name)
                        return
                    await self._until(partial(self._plan_or_none, desired))
                    continue
                if not plan.actions:
                    await self._until_other(desired, plan)
                    continue
                outcome = await self._attempt(desired, plan)
                if outcome.failed and self.plan(desired).judgements:
                    continue
                if outcome.failed:
                    retry_s = await self._failed(outcome, retry_s)
                elif not outcome.done:
                    await self._held(desired, plan, outcome)
                else:
                    retry_s = _RETRY_FIRST_S
            if generation != self._generation:
                retry_s = _RETRY_FIRST_S

    def _met(self, desired: Desired, plan: Plan) -> None:
        self._converged = True
        self._notes.met(self.name, self._observed(desired))
        error: PystackError | None = None
        if desired.verdicts and desired.wish == "running":
            service, verdict = next(iter(desired.verdicts.items()))
            error = Failed(
                verdict.told(service),
                code="update-failed",
                about=service,
                hint=f"`pystack why {service}` tells what happened",
            )
        self._settle(error=error, warnings=plan.warnings)

    async def _until_other(self, desired: Desired, plan: Plan) -> None:
        """Nothing, once the plan is another, or the time that it waits for has come."""

        def other() -> bool | None:
            now = self.plan(desired)
            return True if now.actions or now.judgements or not now.waiting else None

        wait_s = None if plan.wake_at is None else max(0.0, plan.wake_at - self._now())
        with anyio.move_on_after(wait_s):
            await self._until(other)

    async def _attempt(self, desired: Desired, plan: Plan) -> Outcome:
        self._log.info("plan", lines=plan.lines())
        generation = self._generation

        def look() -> Callable[[Gate], GateState]:
            gated = any(action.gates for action in plan.actions)
            observed = self._observed(desired) if gated else Observed()
            return lambda gate: gate_state(gate, observed, desired)

        outcome = await self._executor.execute(plan, look, self.progress.publish)
        if generation != self._generation:
            return outcome  # a newer wish has come; this one's outcome is nobody's business
        refreshed = {a.reference for a in outcome.done if isinstance(a, PullImage | BuildImage)}
        left = frozenset(
            name
            for name in desired.refresh
            if (s := desired.stack.service(name)) and s.container.image not in refreshed
        )
        if left != desired.refresh:
            self._desired = replace(desired, refresh=left)
            self._notes.refreshed(self.name, left)
        for action in outcome.done:
            self._notes.acted(self.name, action, repair=self._converged)
        self.status = replace(self.status, changed=self.status.changed + len(outcome.done))
        return outcome

    async def _failed(self, outcome: Outcome, retry_s: float) -> float:
        """The seconds to wait after the next failure; waits after this one."""
        action, error = outcome.failed[0]
        self._log.warning("action failed", action=action.key, error=str(error), code=error.code)
        passes = _may_pass(error)
        self._settle(error=_with_hope(error, self.name) if passes else error)
        if not self._converged and not passes:
            # A person is told and will ask again; going on by ourselves would surprise them.
            await anyio.sleep_forever()
        await anyio.sleep(retry_s)
        return min(_RETRY_MAX_S, retry_s * 2)

    async def _held(self, desired: Desired, plan: Plan, outcome: Outcome) -> None:
        """Nothing, once the world has changed so that the plan or its gates differ."""
        if outcome.broken:
            self._settle(
                error=Failed(
                    f"a dependency failed: {outcome.broken[0]}",
                    code="dependency-failed",
                    about=self.name,
                    hint="`pystack logs` shows what the service said",
                )
            )
        held = dict(outcome.held)

        def differs() -> bool | None:
            observed = self._observed(desired)
            if diff(desired, observed, self._specs).lines() != plan.lines():
                return True
            for action in plan.actions:
                states = [gate_state(g, observed, desired) for g in action.gates]
                shut = [s for s in states if s.state != "open"]
                if action.key in held and (not shut or shut[0].why != held[action.key]):
                    return True
            return None

        await self._until(differs)

    async def _until(self, look: Callable[[], T | None]) -> T:
        """As `Changes.until`, looking only when something of this stack has changed: others' is
        nothing that a plan could come of, and a look takes as long as the stack is large."""
        seen: object = None

        def look_again() -> T | None:
            nonlocal seen
            version = self._version(self.name)
            if version == seen:
                return None
            seen = version
            return look()

        return await self._changes.until(look_again)

    def _settle(self, error: PystackError | None = None, warnings: tuple[str, ...] = ()) -> None:
        self.status = replace(
            self.status, settled=True, error=error, warnings=warnings or self.status.warnings
        )
        self._changes.ring()


def _may_pass(error: PystackError) -> bool:
    """Whether what went wrong may be over by itself: something did not answer, or was full."""
    return isinstance(error, Unavailable) or error.code == "system-refused"


def _with_hope(error: PystackError, stack: str) -> PystackError:
    """The error, with the news that it is not the end of it."""
    more = f"it is tried again by itself, until `pystack down` of {stack}"
    hint = f"{error.hint}; {more}" if error.hint else more
    return type(error)(error.message, code=error.code, about=error.about, hint=hint)
