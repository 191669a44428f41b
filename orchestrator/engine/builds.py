"""Operations on builds: from a Dockerfile and its context to a tagged image.

Joins what `build` decides with this engine's images, networks and runtime. A build that fails or
is killed leaves its finished steps in the cache and nothing else.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlparse

import anyio
from anyio import to_thread

from orchestrator.build.cache import StepCache
from orchestrator.build.context import Context, open_context
from orchestrator.build.evaluate import Scope
from orchestrator.build.execute import Executor
from orchestrator.build.flights import Flights
from orchestrator.build.grammar import read_instructions
from orchestrator.build.graph import build_graph
from orchestrator.build.parser import parse
from orchestrator.build.runmounts import CacheDirectories
from orchestrator.build.runner import Runner, Sandbox
from orchestrator.build.solver import Plan, Solved, Solver
from orchestrator.build.workspace import Workspaces
from orchestrator.engine.images import Images
from orchestrator.engine.networks import Networks
from orchestrator.errors import InvalidInput
from orchestrator.images.built import write_image
from orchestrator.images.content import ContentStore
from orchestrator.images.manifest import Platform, host_platform
from orchestrator.model.events import Event, Progress, Report
from orchestrator.model.image import Image, ImageConfig
from orchestrator.model.observed import Container
from orchestrator.model.stack import Build
from orchestrator.runtime.driver import Runtime
from orchestrator.settings import Settings
from orchestrator.state.database import Database

_EPOCH = "1970-01-01T00:00:00+00:00"


class Builds:
    """Every build of this engine; they share the cache, and steps that are under way."""

    def __init__(
        self,
        database: Database,
        images: Images,
        store: ContentStore,
        runtime: Runtime,
        networks: Networks,
        settings: Settings,
        emit: Callable[[Event], None],
    ) -> None:
        self._images = images
        self._store = store
        self._emit = emit
        self._records = database.build_cache
        self._cache = StepCache(database.build_cache, store)
        self._flights = Flights()
        self._caches = CacheDirectories(settings.data_dir / "build-cache")
        self._place = settings.run_dir / "builds"
        self._runner = Runner(runtime, _Network(networks), settings.cgroup_parent)
        limit = settings.max_parallel or os.cpu_count() or 2
        self._executor = Executor(
            Workspaces(store, self._place), self._runner, anyio.CapacityLimiter(limit)
        )

    async def build(self, build: Build, tags: Sequence[str], report: Report) -> Image:
        """The image that the Dockerfile makes, recorded under these tags.

        Raises: NotFound: no context, no Dockerfile.  InvalidInput: the Dockerfile is wrong, or asks
        for what pystack cannot do yet.  Failed: a step failed.  What pulling a base image raises.
        """
        subject = f"build {tags[0] if tags else Path(build.context).name}"
        _check_local(build)
        context = await to_thread.run_sync(open_context, build)
        plan = _plan(build, context, subject)
        solver = Solver(
            plan,
            images=partial(self._base, build, report),
            cache=self._cache,
            flights=self._flights,
            executor=self._executor,
            caches=self._caches,
            report=report,
        )
        async with self._images.holding():
            solved = await solver.solve()
            image = await self._written(build, solved)
            image = self._images.register(image, tags)
        report(Progress(subject=subject, step="built", detail=image.id, done=True))
        attributes = {"name": tags[0] if tags else image.id}
        self._emit(
            Event(
                type="image", action="build", id=image.id, time=time.time(), attributes=attributes
            )
        )
        return image

    async def recover(self) -> None:
        """Nothing, once no process, mount or file of a killed engine's builds is left."""
        if not self._place.is_dir():
            return
        for place in list(self._place.iterdir()):
            await self._runner.clear(place.name)
            await self._executor.workspaces.clear(place.name)

    async def prune(self) -> int:
        """The bytes freed: every remembered step and every cache mount's content is gone."""
        for step in list(self._records):
            self._records.delete(step.id)
        await self._caches.clear()
        return await self._images.collect()

    async def _base(self, build: Build, report: Report, name: str) -> Image:
        return await self._images.ensure(name, "always" if build.pull else "missing", report)

    async def _written(self, build: Build, solved: Solved) -> Image:
        config = solved.state.config
        labels = {**config.labels, **build.labels}
        # The time of the newest layer: built again from the cache, the image is the same image.
        config = replace(config, labels=labels, created=config.created or _EPOCH)
        return await write_image(self._store, config, solved.layers, solved.history)


class _Network:
    """The default network for RUNs; leases, and no names."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    async def leased(self, container: Container) -> Container:
        if container.spec.network_mode not in ("none", "host"):
            await self._networks.ensure_default()
        return replace(container, endpoints=self._networks.lease(container, ()))

    async def write_files(self, directory: Path, container: Container) -> None:
        await self._networks.write_hosts(directory, container)

    async def connect(self, container: Container, pid: int) -> None:
        await self._networks.connect(container, pid)

    async def withdraw(self, container: Container) -> None:
        await self._networks.withdraw(container)
        self._networks.release(container)


def _check_local(build: Build) -> None:
    if urlparse(build.context).scheme in ("http", "https", "git", "ssh"):
        raise InvalidInput(
            f"the remote build context {build.context} is not supported",
            code="context-unsupported",
            about=build.context,
            hint="fetch it first, and name the directory",
        )


def _plan(build: Build, context: Context, subject: str) -> Plan:
    """The build, read and decided.  Raises: InvalidInput."""
    platform = host_platform()
    dockerfile = parse(context.dockerfile, context.name)
    graph = build_graph(
        read_instructions(dockerfile),
        target=build.target,
        build_args=build.args,
        platform_args=_platform_args(platform),
        escape=dockerfile.escape,
    )
    return Plan(
        graph=graph,
        scope=Scope(build_args=build.args, global_args=graph.global_args, escape=dockerfile.escape),
        tree=context.tree,
        subject=subject,
        platform=ImageConfig(architecture=platform.architecture, variant=platform.variant),
        sandbox=Sandbox(
            network="" if build.network == "default" else build.network,
            extra_hosts=build.extra_hosts,
            shm_size_bytes=build.shm_size_bytes,
        ),
        use_cache=not build.no_cache,
    )


def _platform_args(platform: Platform) -> dict[str, str]:
    """The arguments that every Dockerfile has.  Source: Dockerfile reference, "ARG"."""
    values = {
        "PLATFORM": str(platform),
        "OS": platform.os,
        "ARCH": platform.architecture,
        "VARIANT": platform.variant,
    }
    return {
        f"{side}{name}": value for side in ("BUILD", "TARGET") for name, value in values.items()
    }
