"""A container's root as a directory descriptor, whether it runs or not.

Of a running container it is the root its processes see, with everything mounted in it. Of another
one it is mounted for as long as it is needed, and the container cannot be started meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.aio.libc import MS_BIND, MS_RDONLY, MS_REC, MS_REMOUNT, mount
from orchestrator.aio.rooted import make_directory, opened
from orchestrator.engine.container_records import ContainerRecords
from orchestrator.engine.images import Images
from orchestrator.engine.launch import Launcher
from orchestrator.errors import Failed, PystackError
from orchestrator.model.container import Mount
from orchestrator.model.ids import new_id
from orchestrator.model.observed import Container
from orchestrator.runtime.confine import labels_of
from orchestrator.runtime.paths import Bundle
from orchestrator.runtime.process import alive
from orchestrator.runtime.selinux import read_contexts
from orchestrator.volumes.mounts import mount_overlay, unmount

_UNDO_S = 30.0


class ContainerRoots:
    """The roots of this engine's containers; `place` is where those at rest are mounted."""

    def __init__(
        self, records: ContainerRecords, images: Images, launcher: Launcher, place: Path
    ) -> None:
        self._records = records
        self._images = images
        self._launcher = launcher
        self._place = place

    @asynccontextmanager
    async def opened(self, container: Container) -> AsyncGenerator[int]:
        """The root with the container's volumes and host directories in it.

        Raises: Failed: it cannot be mounted.
        """
        async with self._held(container) as now:
            if now.running:
                with _descriptor(f"/proc/{now.state.pid}/root") as root:
                    # Opened first, asked second: the number cannot be another process's by then.
                    if not alive(now.state.pid, now.state.pid_started):
                        raise _ended(now)
                    yield root
                return
            async with self._mounted(now, with_mounts=True) as path:
                with _descriptor(str(path)) as root:
                    yield root

    @asynccontextmanager
    async def own(self, container: Container) -> AsyncGenerator[int]:
        """The root without anything mounted in it: the image with the container's changes.

        Raises: Failed: it cannot be mounted.
        """
        async with self._held(container) as now:
            if now.running:
                with _descriptor(str(self._launcher.bundle(now).rootfs)) as root:
                    yield root
                return
            async with self._mounted(now, with_mounts=False) as path:
                with _descriptor(str(path)) as root:
                    yield root

    def upper(self, container: Container) -> Path:
        """The directory of the container's changes; there is none before its first start."""
        return self._launcher.files(container.id) / "upper"

    @asynccontextmanager
    async def _held(self, container: Container) -> AsyncGenerator[Container]:
        """The container, which is not started while the block lasts unless it runs already."""
        async with AsyncExitStack() as stack:
            if not container.running:
                await stack.enter_async_context(self._records.lock(container.id))
            yield self._records.get(container.id)

    @asynccontextmanager
    async def _mounted(self, container: Container, *, with_mounts: bool) -> AsyncGenerator[Path]:
        view = _View(self._place / new_id()[:16])
        bundle = replace(
            self._launcher.bundle(container), path=view.place, rootfs=view.root, log_path=view.place
        )
        lowers = self._images.lowers(self._images.get(container.image_id))
        files = self._launcher.files(container.id)
        try:
            label = labels_of(container, read_contexts()).mount
            await to_thread.run_sync(view.mount_root, lowers, files, label)
            if with_mounts:
                await self._fill(view, container, bundle)
            yield view.root
        finally:
            with anyio.move_on_after(_UNDO_S, shield=True):
                await to_thread.run_sync(view.clear)

    async def _fill(self, view: _View, container: Container, bundle: Bundle) -> None:
        wanted = sorted(enumerate(container.mounts), key=lambda m: m[1].target.count("/"))
        sources: list[tuple[Mount, str]] = []
        for position, wish in wanted:
            # What is in memory alone holds nothing while the container is at rest, and a host
            # directory that has gone is no reason not to reach the rest.
            with suppress(PystackError):
                if wish.kind != "tmpfs":
                    sources.append((wish, await self._launcher.bound(wish, position, bundle)))
        try:
            await to_thread.run_sync(view.mount_inside, sources, container.spec.read_only)
        except OSError as error:
            raise Failed(
                f"mounting what container {container.name} mounts: {error.strerror}",
                code="mount-failed",
                about=container.name,
                hint="start the container, then try again",
            ) from error


class _View:
    """A root that is mounted in a place of its own. Blocking."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.root = place / "root"

    def mount_root(self, lowers: list[Path], files: Path, label: str) -> None:
        for directory in (files / "upper", files / "work", self.root):
            directory.mkdir(parents=True, exist_ok=True)
        mount_overlay(lowers, files / "upper", files / "work", self.root, label=label)

    def mount_inside(self, sources: list[tuple[Mount, str]], read_only: bool) -> None:
        for wish, source in sources:
            self._make_target(wish.target, Path(source))
            with opened(self.root, wish.target) as fd:
                mount(source, f"/proc/self/fd/{fd}", flags=MS_BIND | MS_REC)
            if wish.read_only or wish.kind == "image":
                # Opened anew: the first descriptor is of what lies below the mount.
                with opened(self.root, wish.target) as fd:
                    flags = MS_BIND | MS_REMOUNT | MS_RDONLY
                    mount("", f"/proc/self/fd/{fd}", flags=flags)
        if read_only:
            mount("", str(self.root), flags=MS_BIND | MS_REMOUNT | MS_RDONLY)

    def _make_target(self, target: str, source: Path) -> None:
        with suppress(OSError), opened(self.root, target):
            return
        if source.is_dir():
            make_directory(self.root, target)
            return
        above, _, name = target.rstrip("/").rpartition("/")
        make_directory(self.root, above)
        with opened(self.root, above) as parent:
            path = f"/proc/self/fd/{parent}/{name}"
            os.close(os.open(path, os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_WRONLY, 0o644))

    def clear(self) -> None:
        """Nothing is left of it. What could not be unmounted is not deleted either."""
        inside = f"{self.place}/"
        for point in reversed(_mount_points()):
            if point.startswith(inside):
                unmount(Path(point))
        for directory in (*self.place.glob("mounts/*"), self.place / "mounts", self.root):
            with suppress(OSError):
                directory.rmdir()
        with suppress(OSError):
            self.place.rmdir()


def _mount_points() -> list[str]:
    text = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    return [_unescaped(line.split(" ", 5)[4]) for line in text.splitlines()]


def _unescaped(point: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(code, char)
    return point


@contextmanager
def _descriptor(path: str) -> Iterator[int]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Failed(
            f"the container's root cannot be opened: {error.strerror}",
            code="root-unreachable",
            about=path,
            hint="the container has just ended: try again",
        ) from error
    try:
        yield fd
    finally:
        os.close(fd)


def _ended(container: Container) -> Failed:
    return Failed(
        f"container {container.name} has just ended",
        code="root-unreachable",
        about=container.name,
        hint="try again",
    )
