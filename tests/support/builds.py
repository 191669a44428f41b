"""An engine's builds, alone: no API, no command line; the network and the runtime are real."""

from __future__ import annotations

import asyncio
import stat
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.engine.builds import Builds
from orchestrator.engine.images import Images
from orchestrator.engine.networks import open_networks
from orchestrator.images.content import ContentStore
from orchestrator.model.events import Event, Progress
from orchestrator.model.image import Image
from orchestrator.model.stack import Build
from orchestrator.runtime.choose import choose_runtime
from orchestrator.settings import Settings
from orchestrator.state.database import Database, open_database
from orchestrator.volumes.mounts import mount_overlay, unmount
from tests.support.containers import without_unified_hierarchy
from tests.support.oci import OciImage


@dataclass
class Place:
    """An engine's builds, alone, with one base image."""

    database: Database
    store: ContentStore
    images: Images
    builds: Builds
    settings: Settings
    context: Path
    said: list[Progress] = field(default_factory=list)

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.context / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    async def build(self, dockerfile: str, tag: str = "test", **more: Any) -> Image:
        self.said.clear()
        build = Build(context=str(self.context), dockerfile_inline=dockerfile, **more)
        return await self.builds.build(build, [tag], self.said.append)

    def details(self) -> list[str]:
        return [progress.detail for progress in self.said]

    def cached(self) -> list[str]:
        """The instructions that were not done again."""
        return [p.subject.partition("] ")[2] for p in self.said if p.step == "cached"]

    @asynccontextmanager
    async def root(self, image: Image) -> AsyncIterator[Path]:
        target = self.settings.run_dir / "look"
        target.mkdir(exist_ok=True)
        mount_overlay(self.images.lowers(image), None, None, target)
        try:
            yield target
        finally:
            unmount(target)

    async def files(self, image: Image, directory: str) -> dict[str, str]:
        """What is below a directory of the image: path to mode, owner and content."""
        async with self.root(image) as root:
            return described(root / directory)

    def leftovers(self) -> list[Path]:
        places = [self.store.root / "tmp", self.settings.run_dir / "builds"]
        return [path for place in places if place.is_dir() for path in place.iterdir()]


def described(directory: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted(directory.rglob("*")):
        info = path.lstat()
        owner = f"{info.st_uid}:{info.st_gid}"
        mode = f"{stat.S_IMODE(info.st_mode):o}"
        if path.is_symlink():
            text = f"-> {path.readlink()}"
        else:
            text = "/" if path.is_dir() else path.read_text(errors="replace")
        found[str(path.relative_to(directory))] = f"{mode} {owner} {text}"
    return found


@asynccontextmanager
async def _opened(
    directory: Path, base: OciImage, tag: str, cgroup_parent: str
) -> AsyncIterator[Place]:
    settings = Settings(
        data_dir=directory / "data",
        run_dir=directory / "run",
        socket=directory / "socket",
        log_file=directory / "log",
        cgroup_parent=cgroup_parent,
    )
    context = directory / "context"
    context.mkdir(parents=True, exist_ok=True)
    settings.run_dir.mkdir(exist_ok=True)
    events: list[Event] = []
    async with AsyncExitStack() as stack:
        stack.enter_context(without_unified_hierarchy())
        # Another one of the same test may have done it.
        stack.callback(_try, "nft", "delete", "table", "inet", "pystack")
        stack.callback(_try, "ip", "link", "delete", "ps-default")
        database = stack.enter_context(open_database(settings.data_dir / "state.db"))
        store = ContentStore(settings.data_dir / "content")
        images = Images(database, store, settings, events.append)
        networks = await stack.enter_async_context(open_networks(database, settings, events.append))
        await networks.restore([])
        runtime = await choose_runtime(settings)
        builds = Builds(database, images, store, runtime, networks, settings, events.append)
        await builds.recover()
        await images.recover()
        (image,) = await images.load_archive(base.archive(directory / "base.tar"), ignore)
        images.register(image, [tag])
        yield Place(database, store, images, builds, settings, context)


def _try(*argv: str) -> None:
    subprocess.run(argv, capture_output=True, check=False)


def ignore(_progress: Progress) -> None:
    pass


@asynccontextmanager
async def build_place(
    directory: Path, base: OciImage, tag: str, cgroup_parent: str
) -> AsyncIterator[Place]:
    """Builds with one image, for a fixture: set-up and tear-down may be different tasks."""
    made: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
    finished = asyncio.Event()

    async def live() -> None:
        async with _opened(directory, base, tag, cgroup_parent) as place:
            made.set_result(place)
            await finished.wait()

    # A task of its own, as a task group must be left by the task that entered it.
    task = asyncio.create_task(live())
    awaited: list[asyncio.Future[Any]] = [made, task]
    await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
    if not made.done():
        await task
    yield made.result()
    left = made.result().leftovers()
    finished.set()
    await task
    assert left == []


async def build_until_killed(directory: Path, base: OciImage, cgroup_parent: str) -> None:
    """Builds what `Dockerfile` in the context says, its output lines on stdout."""
    async with _opened(directory, base, "busybox", cgroup_parent) as place:
        build = Build(context=str(place.context))
        await place.builds.build(build, ["killed"], lambda p: print(p.detail, flush=True))
