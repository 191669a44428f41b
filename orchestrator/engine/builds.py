"""Operations on builds: from a Dockerfile and its context to a tagged image.

Joins what `build` decides with this engine's images, networks and runtime. A build that fails or
is killed leaves its finished steps in the cache and nothing else.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.build.cache import StepCache
from orchestrator.build.cachemounts import CacheDirectories
from orchestrator.build.cachetransport import read_cache_spec
from orchestrator.build.checks.finding import Finding
from orchestrator.build.checks.lint import is_strict
from orchestrator.build.contexts import Contexts
from orchestrator.build.execute import Executor
from orchestrator.build.flights import Flights
from orchestrator.build.grants import Grants
from orchestrator.build.parser import parse
from orchestrator.build.runner import Runner
from orchestrator.build.runnetwork import RunNetworks
from orchestrator.build.solver import Solver
from orchestrator.build.underway import UnderWay
from orchestrator.build.workspace import Workspaces
from orchestrator.engine.build_bases import BaseImages
from orchestrator.engine.build_plan import plan_of, platform_of
from orchestrator.engine.build_results import KEPT_KINDS, BuildResults
from orchestrator.engine.build_storage import BuildStorage
from orchestrator.engine.images import Images
from orchestrator.engine.networks import Networks
from orchestrator.errors import Failed
from orchestrator.images.content import ContentStore
from orchestrator.images.reference import parse_reference
from orchestrator.model.events import Event, Progress, Report
from orchestrator.model.image import Image
from orchestrator.model.observed import Container
from orchestrator.model.stack import Build
from orchestrator.runtime.driver import Runtime
from orchestrator.settings import Settings
from orchestrator.state.database import Database

_PATIENCE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A finished build: its image, which is recorded where the build was to keep it, and what the
    checks found in the Dockerfile."""

    image: Image
    findings: tuple[Finding, ...] = ()


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
        self._settings = settings
        self._emit = emit
        self._cache = StepCache(database.build_cache, store)
        self._flights = Flights()
        self._under_way = UnderWay()
        caches = settings.data_dir / "build-cache"
        self._caches = CacheDirectories(caches / "mounts")
        self._digests = caches / "digests"
        # Where contexts that come as archives wait for their build; emptied at the start.
        self.uploads = caches / "contexts"
        self._place = settings.run_dir / "builds"
        self._network = _Network(networks)
        self._runner = Runner(runtime, settings.cgroup_parent)
        # Most steps wait for the network or a disk: there may be more of them than processors.
        limit = settings.max_parallel or max(4, 2 * (os.cpu_count() or 2))
        self._executor = Executor(
            Workspaces(store, self._place), self._runner, anyio.CapacityLimiter(limit)
        )
        self._bases = BaseImages(images, store, settings)
        self._results = BuildResults(
            images, store, settings, self._cache, self._executor.workspaces
        )
        self.storage = BuildStorage(database, images, self._caches)

    async def build(self, build: Build, tags: Sequence[str], report: Report) -> Image:
        """The image that the Dockerfile makes, recorded under these tags.

        Raises: as `run`.
        """
        return (await self.run(build, tags, report)).image

    async def run(
        self, build: Build, tags: Sequence[str], report: Report, *, title: str | None = None
    ) -> Built:
        """The image that the Dockerfile makes, recorded under these tags unless it only goes
        elsewhere; `title` is what its steps are told under, besides their stage: None is the first
        tag's name, as several builds may be told of at once.

        Raises: NotFound: no context, no Dockerfile.  InvalidInput: the Dockerfile is wrong, or asks
        for what pystack does not do.  Failed: a step failed.  What pulling a base image raises.
        """
        specs = [read_cache_spec(text, to=True) for text in build.cache_to]
        tags = [str(parse_reference(tag)) for tag in tags]
        if title is None:
            title = parse_reference(tags[0]).familiar.rpartition("/")[2] if tags else ""
        async with AsyncExitStack() as stack:
            stack.enter_context(self._under_way.making(tags))
            grants = Grants({secret.id: secret for secret in build.secrets}, build.ssh)
            contexts = self._contexts(build, tags, grants, report, stack)
            context = await contexts.main()
            dockerfile = parse(context.dockerfile, context.name)
            plan, findings = plan_of(build, context, dockerfile, title, grants, self._images.find)
            if findings and is_strict(dockerfile, build.args):
                raise _refused(findings)
            await stack.enter_async_context(self._images.holding())
            solver = Solver(
                plan,
                images=partial(self._bases.get, report=report, newest=build.pull),
                contexts=contexts.named,
                cache=self._cache,
                imports=await self._results.imports(build, stack, report),
                flights=self._flights,
                executor=self._executor,
                caches=self._caches,
                networks=RunNetworks(self._network, build.extra_hosts, stack),
                stack=stack,
                report=report,
            )
            solved = await solver.solve()
            image = await self._results.write(
                build, solved, inline=any(s.kind != "local" for s in specs)
            )
            for output in build.outputs:
                await self._results.export(image, tags, output, report)
            for spec in specs:
                await self._results.export_cache(spec, build, solver, report)
            if not build.outputs or any(o.kind in KEPT_KINDS for o in build.outputs):
                image = self._images.register(image, tags)
                self._tell(image, tags)
            await to_thread.run_sync(contexts.save)
        report(
            Progress(
                subject=f"{title} exporting to image".strip(),
                step="built",
                detail=image.id,
                done=True,
            )
        )
        await self.storage.bound(self._settings.build_cache_max_bytes)
        return Built(image=image, findings=tuple(findings))

    async def check(self, build: Build, report: Report) -> Sequence[Finding]:
        """What is questionable in the Dockerfile; nothing is built.

        Raises: as `run`, where there is nothing to check.
        """
        async with AsyncExitStack() as stack:
            grants = Grants()
            contexts = self._contexts(build, (), grants, report, stack)
            context = await contexts.main()
            dockerfile = parse(context.dockerfile, context.name)
            return plan_of(build, context, dockerfile, "", grants, self._images.find)[1]

    async def recover(self) -> None:
        """Nothing, once no process, mount or file of a killed engine's builds is left."""
        await to_thread.run_sync(self._caches.recover)
        for path in self.uploads.glob("*"):
            path.unlink(missing_ok=True)
        if not self._place.is_dir():
            return
        for place in list(self._place.iterdir()):
            await self._runner.clear(place.name)
            await self._executor.workspaces.clear(place.name)

    def _contexts(
        self,
        build: Build,
        tags: Sequence[str],
        grants: Grants,
        report: Report,
        stack: AsyncExitStack,
    ) -> Contexts:
        platform = platform_of(build)

        async def image(name: str) -> Image:
            # Perhaps one that another build is making, as `service:NAME` in a stack file means;
            # the services' builds are asked for one by one.
            patience_s = 0.0 if self._images.find(name) or "/" in name else _PATIENCE_S
            made = await self._under_way.awaited(name, tags, patience_s)
            return await self._bases.get(name, platform, report, newest=build.pull and not made)

        return Contexts(
            build,
            workspaces=self._executor.workspaces,
            grants=grants,
            digests=self._digests,
            image=image,
            layout=partial(self._bases.from_layout, report),
            stack=stack,
        )

    def _tell(self, image: Image, tags: Sequence[str]) -> None:
        attributes = {"name": tags[0] if tags else image.id}
        self._emit(
            Event(
                type="image", action="build", id=image.id, time=time.time(), attributes=attributes
            )
        )


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


def _refused(findings: Sequence[Finding]) -> Failed:
    shown = "".join(f"\n  {f.where}: {f.rule}: {f.message}" for f in findings)
    return Failed(
        f"the Dockerfile does not pass its own checks{shown}",
        code="build-checks-failed",
        about=findings[0].where.file,
        hint="mend it, or take error=true out of its check directive",
    )
