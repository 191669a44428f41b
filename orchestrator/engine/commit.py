"""Operations that make an image of a container: its changes as one more layer, its configuration.

A container that is held still meanwhile has a note in the run-time directory, so that the next
engine lets it go on when this one is killed.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.build.changes import with_changes
from orchestrator.engine.container_files import mount_points, pieces_of
from orchestrator.engine.container_records import ContainerRecords
from orchestrator.engine.container_roots import ContainerRoots
from orchestrator.engine.images import Images
from orchestrator.errors import PystackError
from orchestrator.images.built import adopt_layer, write_image
from orchestrator.images.content import ContentStore
from orchestrator.images.layers import unpack_tree
from orchestrator.images.treetar import Rules, stream_path
from orchestrator.model.healthcheck import effective_healthcheck
from orchestrator.model.image import History, Image, ImageConfig, Layer
from orchestrator.model.observed import Container
from orchestrator.model.process import process_args
from orchestrator.runtime.driver import Runtime
from orchestrator.wire.hostconfig import environment

_NOTHING = ImageConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the image is to be: `config` wins over the container's own where it says something,
    and `changes` (instructions of a Dockerfile) over both."""

    tag: str = ""
    author: str = ""
    comment: str = ""
    pause: bool = True
    changes: Sequence[str] = ()
    config: ImageConfig = _NOTHING


class Commits:
    """Makes images of this engine's containers; `place` is for the notes of those held still."""

    def __init__(
        self,
        records: ContainerRecords,
        roots: ContainerRoots,
        images: Images,
        store: ContentStore,
        runtime: Runtime,
        place: Path,
        max_layer_bytes: int,
    ) -> None:
        self._records = records
        self._roots = roots
        self._images = images
        self._store = store
        self._runtime = runtime
        self._place = place
        self._max_layer_bytes = max_layer_bytes

    async def commit(self, reference: str, wish: Wish) -> Image:
        """The image, recorded, with the tag where one is wished for.

        Raises: NotFound: no such container. InvalidInput: the tag or a change is malformed.
        Failed: its files cannot be read.
        """
        container = self._records.get(reference)
        base = self._images.get(container.image_id)
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        config = with_changes(
            _merged(container_config(container, base.config), wish.config), wish.changes
        )
        config = replace(config, created=now, author=wish.author or config.author)
        async with self._images.holding():
            layer = await self._layer(container, base, hold_still=wish.pause)
            note = History(
                created=now,
                created_by=" ".join(process_args(container.spec, base.config)),
                comment=wish.comment,
                empty=layer is None,
            )
            layers = [*base.layers, layer] if layer is not None else base.layers
            image = await write_image(self._store, config, layers, [*base.history, note])
            image = self._images.register(image, (wish.tag,) if wish.tag else ())
        more = {"comment": wish.comment, "imageID": image.id, "imageRef": wish.tag}
        self._records.tell("commit", container, more)
        return image

    async def recover(self) -> None:
        """Nothing, once whatever a killed engine held still goes on."""
        for note in list(self._place.iterdir()) if self._place.is_dir() else []:
            await self._go_on(note)

    async def _layer(self, container: Container, base: Image, *, hold_still: bool) -> Layer | None:
        upper = self._roots.upper(container)
        async with self._still(container, wanted=hold_still):
            if not await to_thread.run_sync(_has_any, upper):
                return None
            skip = mount_points(container)
            rules = Rules(skip=lambda name: skip("/" + name.decode(errors="replace")), layer=True)
            async with pieces_of(lambda: stream_path(upper, rules)) as pieces:
                unpacked = await unpack_tree(self._store, pieces, max_bytes=self._max_layer_bytes)
        parent = base.layers[-1].chain_id if base.layers else ""
        return await adopt_layer(self._store, unpacked.directory, parent)

    @asynccontextmanager
    async def _still(self, container: Container, *, wanted: bool) -> AsyncGenerator[None]:
        """No process of the container runs while the block lasts, where that is `wanted`; it
        cannot be started meanwhile where it is at rest."""
        async with self._records.lock(container.id):
            now = self._records.get(container.id)
            if not wanted or now.state.status != "running":
                yield
                return
            note = self._place / container.id
            await to_thread.run_sync(_write_note, note)
            try:
                await self._runtime.pause(container.id)
                yield
            finally:
                with anyio.CancelScope(shield=True):
                    await self._go_on(note)

    async def _go_on(self, note: Path) -> None:
        with suppress(PystackError):  # it has ended, or was not held yet
            await self._runtime.resume(note.name)
        note.unlink(missing_ok=True)


def container_config(container: Container, of: ImageConfig) -> ImageConfig:
    """The configuration that the container runs with: its own on top of its image's. Pure."""
    spec = container.spec
    command = spec.command
    if command is None and spec.entrypoint is None:
        command = of.command
    published = {f"{p.container_port}/{p.protocol}" for p in spec.ports}
    anonymous = {m.target for m in spec.mounts if m.kind == "volume" and not m.source}
    return replace(
        of,
        user=spec.user if spec.user is not None else of.user,
        environment=tuple(environment(spec, of)),
        entrypoint=of.entrypoint if spec.entrypoint is None else spec.entrypoint,
        command=command or (),
        working_dir=spec.working_dir or of.working_dir,
        labels={**of.labels, **spec.labels},
        exposed_ports=tuple(sorted({*of.exposed_ports, *spec.expose, *published})),
        volumes=tuple(sorted({*of.volumes, *anonymous})),
        stop_signal=spec.stop_signal or of.stop_signal,
        healthcheck=effective_healthcheck(spec, of),
    )


def _merged(config: ImageConfig, over: ImageConfig) -> ImageConfig:
    given = {
        f.name: value
        for f in fields(over)
        if f.name not in ("os", "architecture", "variant", "created", "labels", "environment")
        and (value := getattr(over, f.name))
    }
    variables = dict(entry.partition("=")[::2] for entry in config.environment)
    variables.update(entry.partition("=")[::2] for entry in over.environment)
    return replace(
        config,
        labels={**config.labels, **over.labels},
        environment=tuple(f"{name}={value}" for name, value in variables.items()),
        **given,
    )


def _has_any(upper: Path) -> bool:
    return upper.is_dir() and any(upper.iterdir())


def _write_note(note: Path) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(f"{time.time()}\n")
