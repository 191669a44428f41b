"""The steps of a build: each is looked up in the cache, shared with a build that is at it already,
or executed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

from anyio import to_thread

from orchestrator.build.cache import ImportedSteps, StepCache
from orchestrator.build.cache_key import step_key
from orchestrator.build.execute import Executor
from orchestrator.build.flights import Flights
from orchestrator.build.operations import CopyOperation, Operation, RunOperation
from orchestrator.build.origins import OriginSource
from orchestrator.build.plan import Plan, Solved
from orchestrator.build.remotesources import RemoteSources
from orchestrator.build.runmounts import RunMounts
from orchestrator.build.runnetwork import RunNetworks
from orchestrator.build.selection import Source, select
from orchestrator.build.steplog import StepLog
from orchestrator.build.tree import Tree
from orchestrator.errors import Failed, PystackError
from orchestrator.model.image import Layer
from orchestrator.state.buildcache import CachedStep


class Steps:
    """Does the steps of one build."""

    def __init__(
        self,
        plan: Plan,
        *,
        cache: StepCache,
        imports: Sequence[ImportedSteps],
        flights: Flights,
        executor: Executor,
        mounts: RunMounts,
        networks: RunNetworks,
        origin: OriginSource,
    ) -> None:
        self._plan = plan
        self._cache = cache
        self._imports = imports
        self._flights = flights
        self._executor = executor
        self._mounts = mounts
        self._networks = networks
        self._origin = origin
        self._remotes = RemoteSources(executor.workspaces, plan.grants)

    async def perform(self, solved: Solved, operation: Operation, log: StepLog) -> CachedStep:
        """The step, done now or before.  Raises: Failed, naming file and line."""
        layers = solved.layers
        try:
            if isinstance(operation, RunOperation):
                return await self._run(solved, operation, log)
            if isinstance(operation, CopyOperation):
                if operation.origin:
                    return await self._copy_from_origin(layers, operation, log)
                return await self._copy_from_context(layers, operation, log)
            key = self._key(_top(layers), operation)
            execute = partial(self._executor.make_directory, layers, operation, self._plan.epoch)
            return await self._shared(key, operation, log, lambda _: execute())
        except Failed as error:
            if error.code in ("build-failed", "platform-not-runnable"):
                raise
            raise _failed(operation, error.message, error.code, error.hint) from error
        except OSError as error:
            hint = "check the file, and that the disk has room"
            raise _failed(operation, str(error), "build-step-failed", hint) from error

    def _key(self, parent: str, operation: Operation, content: Sequence[str] = ()) -> str:
        return step_key(parent, operation, content, self._plan.epoch)

    async def _run(self, solved: Solved, operation: RunOperation, log: StepLog) -> CachedStep:
        seen = [*await self._mounts.contents(operation), *self._networks.extra_hosts]
        key = self._key(_top(solved.layers), operation, seen)
        foreign = solved.platform != self._plan.machine
        sandbox = replace(self._plan.sandbox, foreign=str(solved.platform) if foreign else "")

        async def execute(say: Callable[[str], None]) -> Layer | None:
            return await self._executor.run(
                solved.layers,
                operation,
                self._mounts,
                sandbox,
                self._networks,
                say,
                self._plan.epoch,
            )

        return await self._shared(key, operation, log, execute)

    async def _copy_from_context(
        self, layers: Sequence[Layer], operation: CopyOperation, log: StepLog
    ) -> CachedStep:
        local, remote = self._remotes.split(operation)
        sources = [Source(self._plan.tree, local, unpack=operation.unpack is not False)]
        if not remote:
            return await self.copy(layers, operation, sources, False, log)
        identities = await self._remotes.identities(operation, remote)
        quick = ""
        if identities is not None and not local:
            owner = await self._executor.owner(layers, operation)
            quick = self._key(_top(layers), operation, ["remote", repr(owner), *identities])
            if (known := await self._known(quick, operation, log)) is not None:
                log.cached(operation.text)
                return known
        with log.step(operation.text) as step:
            async with self._remotes.fetched(operation, remote, identities, step.say) as fetched:
                done = await self.copy(layers, operation, [*sources, *fetched], False, log)
        return self._cache.alias(quick, done) if quick else done

    async def copy(
        self,
        layers: Sequence[Layer],
        operation: CopyOperation,
        sources: Sequence[Source],
        keep_owner: bool,
        log: StepLog,
    ) -> CachedStep:
        """The step that puts what these sources hold in place."""
        selection = await to_thread.run_sync(select, operation, sources)
        digest = await to_thread.run_sync(selection.digest, keep_owner)
        owner = await self._executor.owner(layers, operation)
        content = [digest, repr(owner)]
        below = () if operation.link else layers
        execute = partial(
            self._executor.copy, below, operation, selection, owner, keep_owner, self._plan.epoch
        )
        key = self._key("" if operation.link else _top(layers), operation, content)
        done = await self._shared(key, operation, log, lambda _: execute())
        if not operation.link or done.layer is None or not layers:
            return done
        # Made on top of nothing, the layer fits on top of anything.
        layer = await self._executor.workspaces.relink(layers, done.layer)
        moved = self._key(_top(layers), operation, [*content, "linked"])
        return self._cache.find(moved) or self._cache.remember(moved, layer, operation.text)

    async def _copy_from_origin(
        self, layers: Sequence[Layer], operation: CopyOperation, log: StepLog
    ) -> CachedStep:
        """As `_copy`. Equal layers there need no look at the files; else their content decides."""
        try:
            origin = await self._origin(operation.origin)
        except PystackError as error:
            raise operation.where.failed(error) from error
        if origin.tree is not None:
            sources = [Source(origin.tree, operation.sources)]
            return await self.copy(layers, operation, sources, False, log)
        marks = ["from", origin.top, *operation.sources, *operation.exclude]
        quick = self._key(_top(layers), operation, [*marks, f"parents={operation.parents}"])
        if (known := await self._known(quick, operation, log)) is not None:
            log.cached(operation.text)
            return known
        async with self._executor.workspaces.scratch(origin.layers) as root:
            sources = [Source(Tree(root), operation.sources)]
            done = await self.copy(layers, operation, sources, True, log)
        return self._cache.alias(quick, done)

    async def _shared(
        self,
        key: str,
        operation: Operation,
        log: StepLog,
        execute: Callable[[Callable[[str], None]], Awaitable[Layer | None]],
    ) -> CachedStep:
        if (known := await self._known(key, operation, log)) is not None:
            log.cached(operation.text)
            return known
        with log.step(operation.text) as step:

            async def finish(say: Callable[[str], None]) -> CachedStep:
                # Once more: another build may have done it between the look-up and now.
                if not log.fresh and (known := self._cache.find(key)) is not None:
                    return known
                layer = await execute(say)
                return self._cache.remember(key, layer, operation.text)

            if log.fresh:
                return await finish(step.say)
            return await self._flights.share(key, finish, step.say)

    async def _known(self, key: str, operation: Operation, log: StepLog) -> CachedStep | None:
        if log.fresh:
            return None
        if (known := self._cache.find(key)) is not None:
            return known
        return await self._cache.find_imported(key, self._imports, operation.text)


def _failed(operation: Operation, problem: str, code: str, hint: str) -> Failed:
    where = str(operation.where)
    if not problem.startswith(f"{where}: "):
        problem = f"{where}: {operation.text}: {problem}"
    return Failed(problem, code=code, about=where, hint=hint)


def _top(layers: Sequence[Layer]) -> str:
    return layers[-1].chain_id if layers else ""
