"""Operations on builds: from a Dockerfile and its context to a tagged image.

Joins what `build` decides with this engine's images, networks and runtime. A build that fails or
is killed leaves its finished steps in the cache and nothing else.
"""

from __future__ import annotations

import os
import tarfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.build import cachetransport, export
from orchestrator.build.cache import StepCache
from orchestrator.build.cachemounts import CacheDirectories
from orchestrator.build.cachetransport import CacheSpec, FoundSteps, read_cache_spec
from orchestrator.build.contexts import Context, Contexts
from orchestrator.build.evaluate import Scope
from orchestrator.build.execute import Executor
from orchestrator.build.flights import Flights
from orchestrator.build.grammar import read_instructions
from orchestrator.build.grants import Grants
from orchestrator.build.graph import build_graph
from orchestrator.build.lint import Finding, is_strict, lint
from orchestrator.build.parser import Dockerfile, parse
from orchestrator.build.runner import Runner, Sandbox
from orchestrator.build.runnetwork import RunNetworks
from orchestrator.build.solver import Plan, Solved, Solver
from orchestrator.build.workspace import Workspaces
from orchestrator.engine.build_storage import BuildStorage
from orchestrator.engine.images import Images
from orchestrator.engine.networks import Networks
from orchestrator.errors import Failed, InvalidInput, PystackError
from orchestrator.images.archive_writer import ArchiveFormat
from orchestrator.images.built import write_image
from orchestrator.images.connect import open_registry
from orchestrator.images.content import ContentStore
from orchestrator.images.manifest import Platform, host_platform, parse_platform
from orchestrator.images.pull import pull_image
from orchestrator.images.reference import parse_reference
from orchestrator.model.events import Event, Progress, Report
from orchestrator.model.image import Image
from orchestrator.model.observed import Container
from orchestrator.model.stack import Build, BuildOutput
from orchestrator.runtime.driver import Runtime
from orchestrator.settings import Settings
from orchestrator.state.database import Database

_EPOCH = "1970-01-01T00:00:00+00:00"
_KEPT_KINDS = ("image", "registry")


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
        caches = settings.data_dir / "build-cache"
        self._caches = CacheDirectories(caches / "mounts")
        self._digests = caches / "digests"
        self._place = settings.run_dir / "builds"
        self._network = _Network(networks)
        self._runner = Runner(runtime, settings.cgroup_parent)
        # Most steps wait for the network or a disk: there may be more of them than processors.
        limit = settings.max_parallel or max(4, 2 * (os.cpu_count() or 2))
        self._executor = Executor(
            Workspaces(store, self._place), self._runner, anyio.CapacityLimiter(limit)
        )
        self.storage = BuildStorage(database, images, self._caches)

    async def build(self, build: Build, tags: Sequence[str], report: Report) -> Image:
        """The image that the Dockerfile makes, recorded under these tags.

        Raises: as `run`.
        """
        title = parse_reference(tags[0]).familiar.rpartition("/")[2] if tags else ""
        return (await self.run(build, tags, report, title=title)).image

    async def run(
        self, build: Build, tags: Sequence[str], report: Report, *, title: str = ""
    ) -> Built:
        """The image that the Dockerfile makes, recorded under these tags unless it only goes
        elsewhere; `title` is what its steps are told under, besides their stage.

        Raises: NotFound: no context, no Dockerfile.  InvalidInput: the Dockerfile is wrong, or asks
        for what pystack does not do.  Failed: a step failed.  What pulling a base image raises.
        """
        specs = [read_cache_spec(text, to=True) for text in build.cache_to]
        tags = [str(parse_reference(tag)) for tag in tags]
        async with AsyncExitStack() as stack:
            grants = Grants({secret.id: secret for secret in build.secrets}, build.ssh)
            contexts = self._contexts(build, grants, report, stack)
            context = await contexts.main()
            dockerfile = parse(context.dockerfile, context.name)
            plan, findings = self._plan(build, context, dockerfile, title, grants)
            if findings and is_strict(dockerfile, build.args):
                raise _refused(findings)
            await stack.enter_async_context(self._images.holding())
            solver = Solver(
                plan,
                images=partial(self._base, build, report),
                contexts=contexts.named,
                cache=self._cache,
                imports=await self._imports(build, stack),
                flights=self._flights,
                executor=self._executor,
                caches=self._caches,
                networks=RunNetworks(self._network, build.extra_hosts, stack),
                report=report,
            )
            solved = await solver.solve()
            image = await self._written(build, solved, inline=any(s.kind != "local" for s in specs))
            for output in build.outputs:
                await self._export(image, tags, output, report)
            for spec in specs:
                await self._export_cache(spec, build, solver, report)
            if not build.outputs or any(o.kind in _KEPT_KINDS for o in build.outputs):
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
            contexts = self._contexts(build, grants, report, stack)
            context = await contexts.main()
            dockerfile = parse(context.dockerfile, context.name)
            return self._plan(build, context, dockerfile, "", grants)[1]

    async def recover(self) -> None:
        """Nothing, once no process, mount or file of a killed engine's builds is left."""
        if not self._place.is_dir():
            return
        for place in list(self._place.iterdir()):
            await self._runner.clear(place.name)
            await self._executor.workspaces.clear(place.name)

    def _plan(
        self,
        build: Build,
        context: Context,
        dockerfile: Dockerfile,
        title: str,
        grants: Grants,
    ) -> tuple[Plan, list[Finding]]:
        """The build, read and decided, and what is questionable about it.  Raises: InvalidInput."""
        machine, platform = host_platform(), _platform(build)
        instructions = read_instructions(dockerfile)
        graph = build_graph(
            instructions,
            target=build.target,
            build_args=build.args,
            platform_args=_platform_args(machine, platform, build.target),
            escape=dockerfile.escape,
            contexts=build.contexts.keys(),
        )
        plan = Plan(
            graph=graph,
            scope=Scope(
                build_args=build.args, global_args=graph.global_args, escape=dockerfile.escape
            ),
            tree=context.tree,
            prefix=title,
            platform=platform,
            machine=machine,
            sandbox=Sandbox(
                network="" if build.network == "default" else build.network,
                shm_size_bytes=build.shm_size_bytes,
                ulimits=build.ulimits,
            ),
            contexts=frozenset(build.contexts),
            grants=grants,
            use_cache=not build.no_cache,
            uncached=frozenset(name.lower() for name in build.no_cache_filter),
            epoch=_epoch(build),
        )
        bases = {
            stage.base: [entry.partition("=")[0] for entry in image.config.environment]
            for stage in graph.stages.values()
            if stage.base
            and stage.base not in build.contexts
            and (image := self._images.find(stage.base)) is not None
        }
        findings = lint(dockerfile, instructions, graph, build.args, context.tree, bases)
        return plan, findings

    def _contexts(
        self, build: Build, grants: Grants, report: Report, stack: AsyncExitStack
    ) -> Contexts:
        platform = _platform(build)
        return Contexts(
            build,
            workspaces=self._executor.workspaces,
            grants=grants,
            digests=self._digests,
            image=lambda name: self._base(build, report, name, platform),
            layout=partial(self._from_layout, report),
            stack=stack,
        )

    async def _base(self, build: Build, report: Report, name: str, platform: Platform) -> Image:
        """The image of that name for the platform.  Raises: what pulling raises."""
        found = None if build.pull else self._known(name, platform)
        if found is not None:
            return found
        if _same(platform, host_platform()):
            image = await self._images.ensure(name, "always", report)
            if _fits(image, platform):
                return image
        # Under no tag: the name here stays that of this machine's image.
        image = await pull_image(
            parse_reference(name), self._store, self._settings, str(platform), report
        )
        return self._images.register(replace(image, tags=()), ())

    def _known(self, name: str, platform: Platform) -> Image | None:
        image = self._images.find(name)
        if image is not None and _fits(image, platform):
            return image
        if image is not None and not name.startswith(("sha256:", "/")):
            repository = f"{parse_reference(name).name}@"
            for other in self._images.all():
                if _fits(other, platform) and any(d.startswith(repository) for d in other.digests):
                    return other
        return None

    async def _from_layout(self, report: Report, place: str) -> Image:
        """The image in the OCI layout at PATH[:TAG].  Raises: InvalidInput: there is none."""
        path, _, tag = place.partition("@")[0].rpartition(":")
        directory = Path(path if path and "/" not in tag else place.partition("@")[0])
        if not (directory / "oci-layout").is_file():
            raise InvalidInput(
                f"{directory} is no OCI layout",
                code="context-invalid",
                about=str(directory),
                hint="name a directory that has a file oci-layout",
            )
        archive = self._store.scratch()
        try:
            await to_thread.run_sync(_pack, directory, archive)
            images = await self._images.load_archive(archive, report)
        finally:
            await to_thread.run_sync(self._store.discard, archive)
        return images[0]

    async def _imports(self, build: Build, stack: AsyncExitStack) -> list[FoundSteps]:
        """The caches that the build names; one that cannot be had is passed over."""
        steps = FoundSteps(self._store, self._settings.max_layer_bytes)
        for text in build.cache_from:
            spec = read_cache_spec(text, to=False)
            if spec.kind == "local":
                await cachetransport.read_layout(steps, Path(spec.place))
                continue
            if (image := self._images.find(spec.place)) is not None:
                for key, layer in cachetransport.read_image(image).items():
                    self._cache.offer(key, layer)
            try:
                reference = parse_reference(spec.place)
                registry = await stack.enter_async_context(open_registry(reference, self._settings))
                await cachetransport.read_registry(steps, registry, reference.wanted)
            except PystackError:
                continue
        return [steps] if build.cache_from else []

    async def _written(self, build: Build, solved: Solved, *, inline: bool) -> Image:
        config = solved.state.config
        labels = {**config.labels, **build.labels}
        # The time of the newest layer: built again from the cache, the image is the same image.
        config = replace(config, labels=labels, created=config.created or _EPOCH)
        history = cachetransport.marked(solved.history, solved.keys) if inline else solved.history
        return await write_image(self._store, config, solved.layers, history)

    async def _export(
        self, image: Image, tags: Sequence[str], output: BuildOutput, report: Report
    ) -> None:
        if output.kind in _KEPT_KINDS:
            return
        subject = f"exporting to {output.kind}"
        report(Progress(subject=subject, step="running"))
        path = Path(output.path)
        if output.kind in ("local", "tar"):
            write = export.write_files if output.kind == "local" else export.write_tar
            async with self._executor.workspaces.scratch(image.layers) as root:
                await to_thread.run_sync(write, root, path)
        else:
            names = [str(parse_reference(output.name))] if output.name else tags
            form: ArchiveFormat = "oci" if output.kind == "oci" else "docker"
            await export.write_archive(self._store, image, path, names, form)
        report(Progress(subject=subject, step="done", done=True))

    async def _export_cache(
        self, spec: CacheSpec, build: Build, solver: Solver, report: Report
    ) -> None:
        if spec.kind == "inline":
            return
        report(Progress(subject="exporting cache", step="running"))
        stages = solver.stages()
        chosen = stages if spec.mode == "max" else stages[-1:]
        images = [await self._written(build, stage, inline=True) for stage in chosen]
        try:
            if spec.kind == "local":
                await to_thread.run_sync(export.write_layout, self._store, images, Path(spec.place))
            else:
                await self._push_cache(images, spec.place, report)
        except PystackError:
            if not spec.ignore_error:
                raise
        report(Progress(subject="exporting cache", step="done", done=True))

    async def _push_cache(self, images: Sequence[Image], place: str, report: Report) -> None:
        raise InvalidInput(
            "a build cache cannot be pushed to a registry",
            code="build-cache-unsupported",
            about=place,
            hint="use --cache-to type=local,dest=DIR, or type=inline and push the image",
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


def _platform(build: Build) -> Platform:
    if len(build.platforms) > 1:
        raise InvalidInput(
            "an image is built for one platform at a time",
            code="platforms-unsupported",
            about=", ".join(build.platforms),
            hint="build once for each platform",
        )
    return parse_platform(build.platforms[0] if build.platforms else "")


def _epoch(build: Build) -> int | None:
    text = build.args.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise InvalidInput(
            f"SOURCE_DATE_EPOCH={text} is no time",
            code="epoch-invalid",
            about="SOURCE_DATE_EPOCH",
            hint="give it in seconds since 1970, as `date +%s` prints them",
        ) from None


def _refused(findings: Sequence[Finding]) -> Failed:
    shown = "".join(f"\n  {f.where}: {f.rule}: {f.message}" for f in findings)
    return Failed(
        f"the Dockerfile does not pass its own checks{shown}",
        code="build-checks-failed",
        about=findings[0].where.file,
        hint="mend it, or take error=true out of its check directive",
    )


def _same(one: Platform, other: Platform) -> bool:
    return (one.os, one.architecture) == (other.os, other.architecture)


def _fits(image: Image, platform: Platform) -> bool:
    """Whether the image is for the platform; one that says nothing is for all."""
    config = image.config
    return not config.architecture or _same(Platform(config.os, config.architecture), platform)


def _pack(directory: Path, archive: Path) -> None:
    with ExitStack() as stack:
        tar = stack.enter_context(tarfile.open(archive, "w"))
        for path in sorted(directory.rglob("*")):
            if path.is_file() and not path.is_symlink():
                tar.add(path, str(path.relative_to(directory)))


def _platform_args(machine: Platform, platform: Platform, target: str) -> dict[str, str]:
    """The arguments that every Dockerfile has.  Source: Dockerfile reference, "ARG"."""
    found: dict[str, str] = {}
    for side, one in (("BUILD", machine), ("TARGET", platform)):
        values = {
            "PLATFORM": str(one),
            "OS": one.os,
            "ARCH": one.architecture,
            "VARIANT": one.variant,
        }
        found.update({f"{side}{name}": value for name, value in values.items()})
    return {**found, "TARGETSTAGE": target or "default"}
