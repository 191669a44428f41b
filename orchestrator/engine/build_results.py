"""What a build gives besides an image of this engine: files, archives, and steps for other
machines, which it may also begin with."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from anyio import to_thread

from orchestrator.build import cachetransport, export
from orchestrator.build.cache import StepCache
from orchestrator.build.cachetransport import CacheSpec, FoundSteps, read_cache_spec
from orchestrator.build.plan import Solved
from orchestrator.build.solver import Solver
from orchestrator.build.workspace import Workspaces
from orchestrator.engine.images import Images
from orchestrator.errors import PystackError
from orchestrator.images.archive_writer import ArchiveFormat
from orchestrator.images.built import write_image
from orchestrator.images.connect import open_registry
from orchestrator.images.content import ContentStore
from orchestrator.images.manifest import OCI_INDEX, OCI_MANIFEST
from orchestrator.images.push import push_image
from orchestrator.images.reference import parse_reference
from orchestrator.images.upload import Uploads
from orchestrator.model.events import Progress, Report
from orchestrator.model.image import Descriptor, Image
from orchestrator.model.stack import Build, BuildOutput
from orchestrator.settings import Settings

_EPOCH = "1970-01-01T00:00:00+00:00"
# Results that are images of this engine, whatever else becomes of them.
KEPT_KINDS = ("image", "registry")


class BuildResults:
    """Writes results, and reads other builds' steps."""

    def __init__(
        self,
        images: Images,
        store: ContentStore,
        settings: Settings,
        cache: StepCache,
        workspaces: Workspaces,
    ) -> None:
        self._images = images
        self._store = store
        self._settings = settings
        self._cache = cache
        self._workspaces = workspaces

    async def imports(
        self, build: Build, stack: AsyncExitStack, report: Report
    ) -> list[FoundSteps]:
        """The caches that the build names; one that cannot be had is passed over."""
        steps = FoundSteps(self._store, self._settings.max_layer_bytes)
        for text in build.cache_from:
            spec = read_cache_spec(text, to=False)
            if spec.kind == "local":
                await cachetransport.read_layout(steps, Path(spec.place))
                continue
            if (image := self._images.find(spec.place)) is not None:
                known = cachetransport.read_image(image)
                for key, layer in known.items():
                    self._cache.offer(key, layer)
                if known:
                    continue
            try:
                reference = parse_reference(spec.place)
                registry = await stack.enter_async_context(open_registry(reference, self._settings))
                await cachetransport.read_registry(steps, registry, reference.wanted)
            except PystackError as error:
                subject = f"importing cache from {spec.place}"
                report(Progress(subject=subject, step="skipped", detail=error.message, done=True))
        return [steps] if build.cache_from else []

    async def write(self, build: Build, solved: Solved, *, inline: bool) -> Image:
        """The finished stage as an image, with its steps' keys where they go with it (`inline`)."""
        config = solved.state.config
        labels = {**config.labels, **build.labels}
        # The time of the newest layer: built again from the cache, the image is the same image.
        config = replace(config, labels=labels, created=config.created or _EPOCH)
        history = cachetransport.marked(solved.history, solved.keys) if inline else solved.history
        return await write_image(self._store, config, solved.layers, history)

    async def export(
        self, image: Image, tags: Sequence[str], output: BuildOutput, report: Report
    ) -> None:
        """Nothing, once the image is where output says.  Raises: Failed."""
        if output.kind in KEPT_KINDS:
            return
        subject = f"exporting to {output.kind}"
        report(Progress(subject=subject, step="running"))
        path = Path(output.path)
        if output.kind in ("local", "tar"):
            write = export.write_files if output.kind == "local" else export.write_tar
            async with self._workspaces.scratch(image.layers) as root:
                await to_thread.run_sync(write, root, path)
        else:
            names = [str(parse_reference(output.name))] if output.name else tags
            form: ArchiveFormat = "oci" if output.kind == "oci" else "docker"
            await export.write_archive(self._store, image, path, names, form)
        report(Progress(subject=subject, step="done", done=True))

    async def export_cache(
        self, spec: CacheSpec, build: Build, solver: Solver, report: Report
    ) -> None:
        """Nothing, once the build's steps are where spec says.  Raises: Failed; as pushing."""
        if spec.kind == "inline":
            return
        report(Progress(subject="exporting cache", step="running"))
        stages = solver.stages()
        chosen = stages if spec.mode == "max" else stages[-1:]
        images = [await self.write(build, stage, inline=True) for stage in chosen]
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
        """Nothing, once the images are at the registry: one under the tag, several under it with
        their numbers, and an index of them under the tag itself.  Raises: as pushing."""
        reference = parse_reference(place)
        if len(images) == 1:
            await push_image(images[0], reference, self._store, self._settings, report)
            return
        found: list[Descriptor] = []
        for number, image in enumerate(images):
            numbered = reference.with_tag(f"{reference.tag}-{number}")
            pushed = await push_image(image, numbered, self._store, self._settings, report)
            found.append(
                Descriptor(
                    media_type=OCI_MANIFEST, digest=pushed.digest, size_bytes=pushed.size_bytes
                )
            )
        async with open_registry(reference, self._settings, actions="pull,push") as registry:
            uploads = Uploads(registry.own, reference.familiar, self._settings.upload_chunk_bytes)
            await uploads.put_manifest(reference.tag, export.encode_index(found), OCI_INDEX)
