"""What `RUN --mount` asks for, made ready: bind mounts of files to build from, caches, tmpfs."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.aio.rooted import real_path
from orchestrator.build.instructions import RunMount
from orchestrator.build.operations import RunOperation
from orchestrator.build.selection import Selection, select_all
from orchestrator.build.transfer import Placement, place
from orchestrator.build.tree import Tree
from orchestrator.build.workspace import Workspaces
from orchestrator.model.container import Mount
from orchestrator.model.image import Layer

Origin = Callable[[str], Awaitable[Sequence[Layer]]]


class CacheDirectories:
    """The directories of cache mounts, by id; one object for all builds of an engine."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._locks: dict[str, anyio.Lock] = {}

    @asynccontextmanager
    async def open(self, mount: RunMount) -> AsyncGenerator[Path]:
        """The cache's directory. A `locked` or `private` one is this block's alone: a second
        writer waits, where Docker gives it a second directory for `private`."""
        name = hashlib.sha256((mount.cache_id or mount.target).encode()).hexdigest()[:32]
        path = self._place / name
        await to_thread.run_sync(_make_cache, path, mount)
        if mount.sharing == "shared":
            yield path
            return
        async with self._locks.setdefault(name, anyio.Lock()):
            yield path

    async def clear(self) -> None:
        """Nothing, once no cache has content."""
        await to_thread.run_sync(_empty, self._place)


def _empty(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)


def _make_cache(path: Path, mount: RunMount) -> None:
    if path.is_dir():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(exist_ok=True)
    os.chown(path, mount.user_id, mount.group_id)
    path.chmod(mount.mode)


class RunMounts:
    """The mounts of one build's RUN operations."""

    def __init__(
        self, tree: Tree, caches: CacheDirectories, workspaces: Workspaces, origin: Origin
    ) -> None:
        self._tree = tree
        self._caches = caches
        self._workspaces = workspaces
        self._origin = origin

    async def contents(self, operation: RunOperation) -> list[str]:
        """The digests of all that the operation's bind mounts show.

        Raises: InvalidInput: the context has no such path.
        """
        digests: list[str] = []
        for mount in operation.mounts:
            if mount.kind == "bind" and mount.origin:
                layers = await self._origin(mount.origin)
                digests.append(layers[-1].chain_id if layers else "")
            elif mount.kind == "bind":
                selection = await to_thread.run_sync(self._selected, operation, mount)
                digests.append(await to_thread.run_sync(selection.digest, False))
        return digests

    @asynccontextmanager
    async def ready(self, operation: RunOperation) -> AsyncGenerator[list[tuple[Mount, str]]]:
        """Each mount with the path on this machine that it shows, while the block lasts."""
        async with AsyncExitStack() as stack:
            found: list[tuple[Mount, str]] = []
            for mount in operation.mounts:
                source = ""
                if mount.kind == "cache":
                    source = str(await stack.enter_async_context(self._caches.open(mount)))
                elif mount.kind == "bind":
                    source = str(await self._bind_source(operation, mount, stack))
                found.append((_mount(mount), source))
            yield found

    async def _bind_source(
        self, operation: RunOperation, mount: RunMount, stack: AsyncExitStack
    ) -> Path:
        if mount.origin:
            layers = await self._origin(mount.origin)
            root = await stack.enter_async_context(self._workspaces.scratch(layers))
            try:
                return await to_thread.run_sync(real_path, root, mount.source or "/")
            except OSError:
                raise operation.where.invalid(
                    f"{mount.source}: not found in {mount.origin}"
                ) from None
        # A copy: what .dockerignore hides stays hidden, and nothing is written to the context.
        selection = await to_thread.run_sync(self._selected, operation, mount)
        copy = await stack.enter_async_context(self._workspaces.directory())
        await to_thread.run_sync(place, selection, "/", Placement(root=copy))
        first = selection.items[0]
        return copy if first.entry.kind == "directory" else copy / first.name

    def _selected(self, operation: RunOperation, mount: RunMount) -> Selection:
        selection = select_all(self._tree, mount.source)
        if selection is None:
            raise operation.where.invalid(
                f"{mount.source}: not found in the context",
                "check the path, and that .dockerignore does not exclude it",
            )
        return selection


def _mount(mount: RunMount) -> Mount:
    return Mount(
        kind="tmpfs" if mount.kind == "tmpfs" else "bind",
        target=mount.target,
        read_only=mount.read_only,
        tmpfs_size_bytes=mount.size_bytes,
    )
