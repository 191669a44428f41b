"""Pulls, removals, prunes and runs at once, with a real registry: no layer in use is ever lost."""

from __future__ import annotations

import itertools
import random
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from orchestrator.engine.images import Images
from orchestrator.errors import Conflict, NotFound
from orchestrator.images.content import ContentStore
from orchestrator.model.container import ContainerSpec
from orchestrator.model.events import Progress
from orchestrator.model.image import Image
from orchestrator.model.observed import Container, Status
from orchestrator.settings import Registry as RegistrySettings
from orchestrator.settings import Settings
from orchestrator.state.database import Database, open_database
from orchestrator.wire.filters import Filters
from tests.support.isolation import Isolation
from tests.support.oci import add_file, write_image
from tests.support.registry import Registry

FOR_S = 2.5
FILES = 60
EVERY = Filters({"dangling": ("false",)})
LIFE: tuple[Status, ...] = ("created", "running", "exited")


def ignore(progress: Progress) -> None:
    pass


@pytest.fixture
def names(isolation: Isolation, tmp_path: Path, registry: Registry) -> list[str]:
    """Images in the registry that share their lower layers: base, base+a, base+a+b, base+c."""
    files: dict[str, Path] = {}
    for layer in "0abc":
        files[layer] = tmp_path / f"{layer}.tar"
        with tarfile.open(files[layer], "w") as tar:
            for number in range(FILES):
                add_file(tar, f"{layer}/{number}", f"{layer}{number}".encode() * 200)
    return [
        registry.push(
            write_image(tmp_path / f"image-{stack}", [files[layer] for layer in stack]),
            f"concurrent/{stack}",
        )
        for stack in ("0", "0a", "0ab", "0c")
    ]


@pytest.fixture
def database(isolation: Isolation, tmp_path: Path) -> Iterator[Database]:
    with open_database(isolation.work_dir / tmp_path.name / "state.db") as opened:
        yield opened


class Storm:
    """Everybody at once, for a while; `done` counts what each has done."""

    def __init__(self, images: Images, database: Database, names: list[str]) -> None:
        self.images = images
        self.database = database
        self.names = names
        self.dice = random.Random(7)
        self.done: Counter[str] = Counter()
        self.until = time.monotonic() + FOR_S
        self._numbers = itertools.count()

    def each(self, what: str) -> Iterator[str]:
        """A name of an image for each turn, until the time is over."""
        while time.monotonic() < self.until:
            yield self.dice.choice(self.names)
            self.done[what] += 1

    async def pull(self) -> None:
        for name in self.each("pulled"):
            await self.images.pull(name, ignore)

    async def cancelled_pull(self) -> None:
        for name in self.each("cut short"):
            with anyio.move_on_after(self.dice.random() / 20):
                await self.images.pull(name, ignore)

    async def remove(self) -> None:
        for name in self.each("removed"):
            with suppress(NotFound, Conflict):
                await self.images.remove(name, force=self.dice.random() < 0.5)
            await anyio.sleep(0.005)

    async def prune(self) -> None:
        for _ in self.each("pruned"):
            await self.images.prune(EVERY)
            await anyio.sleep(0.05)

    async def run(self) -> None:
        for name in self.each("ran"):
            image = await self.images.ensure(name, "missing", ignore)
            # Nothing is awaited between finding an image and recording its container: that is
            # what `Containers.create` promises as well.
            if self.images.find(image.id) is not None:
                await self._use(name, image)

    async def _use(self, name: str, image: Image) -> None:
        """A container's life, in which its layers must be there."""
        identifier = f"{next(self._numbers):064x}"
        container = Container(
            id=identifier,
            name=identifier,
            spec=ContainerSpec(image=name),
            image_id=image.id,
            created_at=1,
        )
        stack = name.rpartition("/")[2].removesuffix(":latest")
        for status in LIFE:
            self.database.containers.put(
                replace(container, state=replace(container.state, status=status))
            )
            lowers = self.images.lowers(self.images.get(image.id))
            await to_thread.run_sync(check_whole, lowers, stack)
        self.database.containers.delete(identifier)
        await self.images.release(image.id)


def check_whole(lowers: list[Path], stack: str) -> None:
    """Every file of every layer of the image is there."""
    for path, layer in zip(lowers, reversed(stack), strict=True):
        assert [(path / layer / str(number)).stat().st_size for number in range(FILES)] == [
            len(f"{layer}{number}") * 200 for number in range(FILES)
        ]


async def test_whatever_happens_at_once_nothing_in_use_is_lost(
    isolation: Isolation, tmp_path: Path, registry: Registry, names: list[str], database: Database
) -> None:
    directory = isolation.work_dir / tmp_path.name
    store = ContentStore(directory / "content")
    settings = Settings(
        data_dir=directory,
        run_dir=directory,
        socket=directory / "s",
        log_file=directory / "l",
        docker_config=directory / "docker.json",
        registries={registry.host: RegistrySettings(insecure=True)},
    )
    images = Images(database, store, settings, lambda _event: None)
    storm = Storm(images, database, names)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for work in (storm.pull, storm.remove, storm.run) * 2:
                tasks.start_soon(work)
            for work in (storm.cancelled_pull, storm.prune, storm.run):
                tasks.start_soon(work)
    assert min(storm.done[what] for what in ("pulled", "cut short", "removed", "pruned", "ran")) > 5

    await images.prune(EVERY)
    assert list(database.images) == []
    assert (store.layers(), store.blobs()) == ([], [])
    for place in ("l", "tmp"):
        assert list((store.root / place).iterdir()) == []
