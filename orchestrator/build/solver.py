"""Runs a graph: every needed stage, those that do not wait for each other at the same time.

Each step is looked up in the cache, shared with a build that is at it already, or executed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import anyio
from anyio import to_thread

from orchestrator.build.cache import StepCache
from orchestrator.build.cache_key import step_key
from orchestrator.build.evaluate import DEFAULT_PATH, Scope, StageState, advance
from orchestrator.build.execute import Executor
from orchestrator.build.flights import Flights
from orchestrator.build.grammar import read_trigger
from orchestrator.build.graph import Graph, Stage
from orchestrator.build.instructions import Arg, Instruction
from orchestrator.build.operations import CopyOperation, Operation, RunOperation
from orchestrator.build.runmounts import CacheDirectories, RunMounts
from orchestrator.build.runner import Sandbox
from orchestrator.build.selection import select
from orchestrator.build.tree import Tree
from orchestrator.errors import Failed, PystackError
from orchestrator.images.config import timestamp
from orchestrator.model.events import Progress, Report
from orchestrator.model.image import History, Image, ImageConfig, Layer
from orchestrator.state.buildcache import CachedStep


class ImageSource(Protocol):
    """Where base images come from."""

    async def __call__(self, name: str) -> Image:
        """The image, pulled if need be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """A finished stage: what an image is made of."""

    state: StageState
    layers: tuple[Layer, ...] = ()
    history: tuple[History, ...] = ()


@dataclass(slots=True)
class _Cell:
    ended: anyio.Event = field(default_factory=anyio.Event)
    solved: Solved | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One build, decided: its stages, its words' scope, its files, its name in messages."""

    graph: Graph
    scope: Scope
    tree: Tree
    subject: str
    platform: ImageConfig
    sandbox: Sandbox
    use_cache: bool = True


class Solver:
    """Solves one plan; used once."""

    def __init__(
        self,
        plan: Plan,
        *,
        images: ImageSource,
        cache: StepCache,
        flights: Flights,
        executor: Executor,
        caches: CacheDirectories,
        report: Report,
    ) -> None:
        self._plan = plan
        self._images = images
        self._cache = cache
        self._flights = flights
        self._executor = executor
        self._report = report
        self._cells = {index: _Cell() for index in plan.graph.stages}
        self._others: dict[str, Solved] = {}
        self._asking: dict[str, anyio.Lock] = {}
        self._mounts = RunMounts(plan.tree, caches, executor.workspaces, self._origin_layers)

    async def solve(self) -> Solved:
        """The target stage, finished.

        Raises: Failed: a step failed.  InvalidInput: an instruction is wrong.  What pulling raises.
        """
        try:
            async with anyio.create_task_group() as stages:
                for stage in self._plan.graph.stages.values():
                    stages.start_soon(self._solve_stage, stage)
        except BaseExceptionGroup as group:
            # Stages that fail together: the first error is the one to tell.
            errors, rest = group.split(PystackError)
            if errors is None or rest is not None:
                raise
            raise _first(errors) from None
        solved = self._cells[self._plan.graph.target].solved
        assert solved is not None
        return solved

    async def _solve_stage(self, stage: Stage) -> None:
        # All that the stage needs first: an error there is told before time is spent here.
        solved = await self._base(stage)
        triggers, solved = _without_triggers(solved)
        instructions = [
            *(read_trigger(t, stage.start, self._plan.scope.escape) for t in triggers),
            *stage.instructions,
        ]
        for number, instruction in enumerate(instructions, 1):
            step = f"{stage.label} {number}/{len(instructions)}"
            solved = await self._advance(solved, instruction, step)
        cell = self._cells[stage.index]
        cell.solved = solved
        cell.ended.set()

    async def _base(self, stage: Stage) -> Solved:
        if stage.base_stage is not None:
            parent = await self._stage(stage.base_stage)
            # A CMD of the stage below is to this stage what a base image's is.
            return replace(parent, state=replace(parent.state, command_given=False))
        if stage.base:
            self._tell(f"{stage.label} base", stage.start.text)
            return await self._image(stage.base)
        machine = self._plan.platform
        config = replace(machine, environment=(f"PATH={DEFAULT_PATH}",))
        return Solved(state=StageState(config=config))

    async def _advance(self, solved: Solved, instruction: Instruction, step: str) -> Solved:
        state, operation = advance(instruction, solved.state, self._plan.scope)
        done: CachedStep | None = None
        if operation is None:
            self._tell(step, instruction.text)
        else:
            done = await self._perform(solved.layers, operation, step)
        if isinstance(instruction, Arg):
            return replace(solved, state=state)
        layer = done.layer if done is not None else None
        created = state.config.created
        if done is not None and layer is not None and done.created_at > timestamp(created):
            created = datetime.fromtimestamp(done.created_at, UTC).isoformat()
        line = History(created=created, created_by=instruction.text, empty=layer is None)
        return Solved(
            state=replace(state, config=replace(state.config, created=created)),
            layers=solved.layers if layer is None else (*solved.layers, layer),
            history=(*solved.history, line),
        )

    # -- steps

    async def _perform(
        self, layers: Sequence[Layer], operation: Operation, step: str
    ) -> CachedStep:
        """The step, done now or before.  Raises: Failed, naming file and line."""
        try:
            if isinstance(operation, RunOperation):
                return await self._run(layers, operation, step)
            if isinstance(operation, CopyOperation):
                if operation.origin:
                    return await self._copy_from_origin(layers, operation, step)
                return await self._copy(layers, operation, self._plan.tree, step)
            key = step_key(_top(layers), operation)
            execute = partial(self._executor.make_directory, layers, operation)
            return await self._shared(key, operation, step, lambda _: execute())
        except Failed as error:
            if error.code == "build-failed":
                raise
            raise _failed(operation, error.message, error.code, error.hint) from error
        except OSError as error:
            hint = "check the file, and that the disk has room"
            raise _failed(operation, str(error), "build-step-failed", hint) from error

    async def _run(self, layers: Sequence[Layer], operation: RunOperation, step: str) -> CachedStep:
        key = step_key(_top(layers), operation, await self._mounts.contents(operation))

        async def execute(report: Report) -> Layer | None:
            def emit(line: str) -> None:
                report(Progress(subject=self._plan.subject, step=step, detail=line))

            sandbox = self._plan.sandbox
            return await self._executor.run(layers, operation, self._mounts, sandbox, emit)

        return await self._shared(key, operation, step, execute)

    async def _copy(
        self, layers: Sequence[Layer], operation: CopyOperation, tree: Tree, step: str
    ) -> CachedStep:
        selection = await to_thread.run_sync(select, tree, operation)
        digest = await to_thread.run_sync(selection.digest, bool(operation.origin))
        key = step_key(_top(layers), operation, [digest])
        execute = partial(self._executor.copy, layers, operation, selection)
        return await self._shared(key, operation, step, lambda _: execute())

    async def _copy_from_origin(
        self, layers: Sequence[Layer], operation: CopyOperation, step: str
    ) -> CachedStep:
        """As `_copy`. Equal layers there need no look at the files; else their content decides."""
        origin = await self._origin_layers(operation.origin)
        quick = step_key(_top(layers), operation, ["from", _top(origin), *operation.sources])
        if (known := self._known(quick)) is not None:
            self._tell(step, f"cached: {operation.text}")
            return known
        async with self._executor.workspaces.scratch(origin) as root:
            done = await self._copy(layers, operation, Tree(root), step)
        return self._cache.alias(quick, done)

    async def _shared(
        self,
        key: str,
        operation: Operation,
        step: str,
        execute: Callable[[Report], Awaitable[Layer | None]],
    ) -> CachedStep:
        if (known := self._known(key)) is not None:
            self._tell(step, f"cached: {operation.text}")
            return known
        self._tell(step, operation.text)

        async def finish(report: Report) -> CachedStep:
            # Once more: another build may have done it between the look-up and now.
            if (known := self._known(key)) is not None:
                return known
            layer = await execute(report)
            return self._cache.remember(key, layer, operation.text)

        if not self._plan.use_cache:
            return await finish(self._report)
        return await self._flights.share(key, finish, self._report)

    def _known(self, key: str) -> CachedStep | None:
        return self._cache.find(key) if self._plan.use_cache else None

    # -- other stages and images

    async def _stage(self, index: int) -> Solved:
        cell = self._cells[index]
        await cell.ended.wait()
        assert cell.solved is not None
        return cell.solved

    async def _image(self, name: str) -> Solved:
        async with self._asking.setdefault(name, anyio.Lock()):
            if (known := self._others.get(name)) is None:
                image = await self._images(name)
                known = Solved(
                    state=StageState(config=image.config),
                    layers=image.layers,
                    history=image.history,
                )
                self._others[name] = known
            return known

    async def _origin_layers(self, name: str) -> Sequence[Layer]:
        index = self._plan.graph.stage_named(name)
        solved = await (self._image(name) if index is None else self._stage(index))
        return solved.layers

    def _tell(self, step: str, detail: str) -> None:
        self._report(Progress(subject=self._plan.subject, step=step, detail=detail))


def _failed(operation: Operation, problem: str, code: str, hint: str) -> Failed:
    where = str(operation.where)
    return Failed(f"{where}: {operation.text}: {problem}", code=code, about=where, hint=hint)


def _top(layers: Sequence[Layer]) -> str:
    return layers[-1].chain_id if layers else ""


def _without_triggers(solved: Solved) -> tuple[tuple[str, ...], Solved]:
    """The base's ONBUILD triggers, and the base without them: they are not inherited further."""
    triggers = solved.state.config.onbuild
    config = replace(solved.state.config, onbuild=())
    return triggers, replace(solved, state=replace(solved.state, config=config))


def _first(group: BaseExceptionGroup[PystackError]) -> PystackError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
