"""Runs a graph: every needed stage, those that do not wait for each other at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

import anyio
from anyio.abc import TaskGroup

from orchestrator.build.cache import ImportedSteps, StepCache
from orchestrator.build.cachemounts import CacheDirectories
from orchestrator.build.evaluate import DEFAULT_PATH, StageState, advance
from orchestrator.build.execute import Executor
from orchestrator.build.flights import Flights
from orchestrator.build.grammar import read_trigger
from orchestrator.build.graph import Stage
from orchestrator.build.instructions import Arg, Copy, Instruction, Run, Workdir
from orchestrator.build.operations import CopyOperation
from orchestrator.build.origins import Origin
from orchestrator.build.plan import Plan, Solved
from orchestrator.build.runmounts import RunMounts
from orchestrator.build.runnetwork import RunNetworks
from orchestrator.build.selection import Source
from orchestrator.build.steplog import StepLog
from orchestrator.build.steps import Steps
from orchestrator.build.tree import Tree
from orchestrator.errors import PystackError
from orchestrator.images.config import timestamp
from orchestrator.images.manifest import Platform, parse_platform
from orchestrator.model.events import Report
from orchestrator.model.image import History, Image, ImageConfig
from orchestrator.state.buildcache import CachedStep

_MADE = (Run, Copy, Workdir)


class ImageSource(Protocol):
    """Where base images come from."""

    async def __call__(self, name: str, platform: Platform) -> Image:
        """The image, pulled if need be."""


class ContextSource(Protocol):
    """Where named contexts come from."""

    async def __call__(self, name: str) -> Image | Tree:
        """The image or the tree of files that the name stands for."""


@dataclass(slots=True)
class _Cell:
    begun: bool = False
    ended: anyio.Event = field(default_factory=anyio.Event)
    solved: Solved | None = None


class Solver:
    """Solves one plan; used once. `stack` ends with the build."""

    def __init__(
        self,
        plan: Plan,
        *,
        images: ImageSource,
        contexts: ContextSource,
        cache: StepCache,
        imports: Sequence[ImportedSteps],
        flights: Flights,
        executor: Executor,
        caches: CacheDirectories,
        networks: RunNetworks,
        stack: AsyncExitStack,
        report: Report,
    ) -> None:
        self._plan = plan
        self._images = images
        self._contexts = contexts
        self._report = report
        self._cells = {index: _Cell() for index in plan.graph.stages}
        self._others: dict[tuple[str, str], Solved | Tree] = {}
        self._asking: dict[tuple[str, str], anyio.Lock] = {}
        self._steps = Steps(
            plan,
            cache=cache,
            imports=imports,
            flights=flights,
            executor=executor,
            mounts=RunMounts(
                plan.tree, caches, executor.workspaces, self._origin, plan.grants, stack
            ),
            networks=networks,
            origin=self._origin,
        )
        self._tasks: TaskGroup | None = None

    async def solve(self) -> Solved:
        """The target stage, finished.

        Raises: Failed: a step failed.  InvalidInput: an instruction is wrong.  What pulling raises.
        """
        try:
            async with anyio.create_task_group() as self._tasks:
                for index in sorted(self._plan.graph.needed):
                    self._begin(index)
        except BaseExceptionGroup as group:
            # Stages that fail together: the first error is the one to tell.
            errors, rest = group.split(PystackError)
            if errors is None or rest is not None:
                raise
            raise _first(errors) from None
        solved = self._cells[self._plan.graph.target].solved
        assert solved is not None
        return solved

    def stages(self) -> list[Solved]:
        """Every stage that was finished, the target last."""
        target = self._plan.graph.target
        order = sorted(self._cells, key=lambda index: (index == target, index))
        return [solved for index in order if (solved := self._cells[index].solved) is not None]

    def _begin(self, index: int) -> None:
        cell = self._cells[index]
        if not cell.begun:
            assert self._tasks is not None
            cell.begun = True
            self._tasks.start_soon(self._solve_stage, self._plan.graph.stages[index])

    async def _solve_stage(self, stage: Stage) -> None:
        solved = await self._base(stage)
        triggers, solved = _without_triggers(solved)
        instructions = [
            *(read_trigger(t, stage.start, self._plan.scope.escape) for t in triggers),
            *stage.instructions,
        ]
        log = self._log(stage, sum(isinstance(i, _MADE) for i in instructions))
        for instruction in instructions:
            solved = await self._advance(solved, instruction, log)
        cell = self._cells[stage.index]
        cell.solved = solved
        cell.ended.set()

    def _log(self, stage: Stage, steps: int) -> StepLog:
        label = stage.label
        if not stage.name and len(self._plan.graph.needed) == 1:
            label = ""
        plan = self._plan
        uncached = not plan.use_cache or stage.name in plan.uncached
        return StepLog(self._report, plan.prefix, label, steps + 1, fresh=uncached)

    async def _base(self, stage: Stage) -> Solved:
        platform = self._platform(stage)
        if stage.base_stage is not None:
            parent = await self._stage(stage.base_stage)
            # A CMD of the stage below is to this stage what a base image's is.
            return replace(parent, state=replace(parent.state, command_given=False))
        if stage.base:
            log = self._log(stage, sum(isinstance(i, _MADE) for i in stage.instructions))
            with log.step(f"FROM {stage.base}") as step:
                try:
                    found = await self._other(stage.base, platform, step.report)
                except PystackError as error:
                    raise stage.start.where.failed(error) from error
            if isinstance(found, Tree):
                return await self._from_tree(stage, found, platform)
            return replace(found, platform=_platform_of(found, platform))
        return Solved(state=StageState(config=_empty(platform)), platform=platform)

    def _platform(self, stage: Stage) -> Platform:
        if not stage.platform:
            return self._plan.platform
        try:
            return parse_platform(stage.platform)
        except PystackError as error:
            raise stage.start.where.invalid(error.message, error.hint) from None

    async def _from_tree(self, stage: Stage, tree: Tree, platform: Platform) -> Solved:
        """A named context as a base: an image of its files."""
        operation = CopyOperation(
            where=stage.start.where,
            text=stage.start.text,
            sources=("/",),
            destination="/",
            origin=stage.base,
        )
        log = self._log(stage, 0)
        done = await self._steps.copy((), operation, [Source(tree, ("/",))], False, log)
        line = History(created_by=stage.start.text, empty=done.layer is None)
        return Solved(
            state=StageState(config=_empty(platform)),
            layers=() if done.layer is None else (done.layer,),
            history=(line,),
            keys=(done.id,),
            platform=platform,
        )

    async def _advance(self, solved: Solved, instruction: Instruction, log: StepLog) -> Solved:
        state, operation = advance(instruction, solved.state, self._plan.scope)
        done: CachedStep | None = None
        if operation is not None:
            done = await self._steps.perform(solved, operation, log)
        if isinstance(instruction, Arg):
            return replace(solved, state=state)
        layer = done.layer if done is not None else None
        created = state.config.created
        if self._plan.epoch is not None:
            created = _time(self._plan.epoch)
        elif done is not None and layer is not None and done.created_at > timestamp(created):
            created = _time(done.created_at)
        line = History(created=created, created_by=instruction.text, empty=layer is None)
        return replace(
            solved,
            state=replace(state, config=replace(state.config, created=created)),
            layers=solved.layers if layer is None else (*solved.layers, layer),
            history=(*solved.history, line),
            keys=(*solved.keys, "" if done is None else done.id),
        )

    # -- other stages, images and contexts

    async def _stage(self, index: int) -> Solved:
        self._begin(index)
        cell = self._cells[index]
        await cell.ended.wait()
        assert cell.solved is not None
        return cell.solved

    async def _other(self, name: str, platform: Platform, report: Report) -> Solved | Tree:
        """What is behind a name that no stage has: a named context, or an image."""
        key = (name, str(platform))
        async with self._asking.setdefault(key, anyio.Lock()):
            if (known := self._others.get(key)) is None:
                found = await (
                    self._contexts(name)
                    if name in self._plan.contexts
                    else self._images(name, platform)
                )
                known = self._others[key] = (
                    found if isinstance(found, Tree) else _of_image(found, platform)
                )
            return known

    async def _origin(self, name: str) -> Origin:
        index = None if name in self._plan.contexts else self._plan.graph.stage_named(name)
        if index is not None:
            return Origin((await self._stage(index)).layers)
        found = await self._other(name, self._plan.platform, self._report)
        return Origin(tree=found) if isinstance(found, Tree) else Origin(found.layers)


def _of_image(image: Image, platform: Platform) -> Solved:
    return Solved(
        state=StageState(config=image.config),
        layers=image.layers,
        history=image.history,
        keys=("",) * len(image.history),
        platform=platform,
    )


def _platform_of(solved: Solved, wanted: Platform) -> Platform:
    config = solved.state.config
    if not config.architecture:
        return wanted
    return Platform(config.os, config.architecture, config.variant or wanted.variant)


def _empty(platform: Platform) -> ImageConfig:
    """What a stage from nothing begins with."""
    return ImageConfig(
        os=platform.os,
        architecture=platform.architecture,
        variant=platform.variant,
        environment=(f"PATH={DEFAULT_PATH}",),
        working_dir="/",
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _without_triggers(solved: Solved) -> tuple[tuple[str, ...], Solved]:
    """The base's ONBUILD triggers, and the base without them: they are not inherited further."""
    triggers = solved.state.config.onbuild
    config = replace(solved.state.config, onbuild=())
    return triggers, replace(solved, state=replace(solved.state, config=config))


def _first(group: BaseExceptionGroup[PystackError]) -> PystackError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
