"""What `RUN --mount` asks for, made ready: files to build from, caches, tmpfs, secrets, agents."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.aio.rooted import real_path
from orchestrator.build.cachemounts import CacheDirectories, Fill
from orchestrator.build.grants import Grants, relayed, write_secret
from orchestrator.build.instructions import RunMount
from orchestrator.build.operations import RunOperation
from orchestrator.build.origins import Origin, OriginSource
from orchestrator.build.selection import Selection, select_all
from orchestrator.build.transfer import Placement, place
from orchestrator.build.tree import Tree
from orchestrator.build.workspace import Workspaces
from orchestrator.errors import PystackError
from orchestrator.images.layers import single_errors
from orchestrator.model.container import Mount


@dataclass(slots=True)
class Ready:
    """The mounts, each with the path on this machine that it shows, and what the process is told
    in its environment besides."""

    mounts: list[tuple[Mount, str]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)


class RunMounts:
    """The mounts of one build's RUN operations. What several of them show is there until `stack`
    ends."""

    def __init__(
        self,
        tree: Tree,
        caches: CacheDirectories,
        workspaces: Workspaces,
        origin: OriginSource,
        grants: Grants,
        stack: AsyncExitStack,
    ) -> None:
        self._tree = tree
        self._caches = caches
        self._workspaces = workspaces
        self._origin = origin
        self._grants = grants
        self._stack = stack
        self._copies: dict[tuple[str, str], Path] = {}
        self._copying = anyio.Lock()

    async def contents(self, operation: RunOperation) -> list[str]:
        """The digests of all that the operation's bind mounts show.

        Raises: InvalidInput: there is no such path; a secret or an agent that it needs is missing.
        """
        digests: list[str] = []
        for mount in operation.mounts:
            if mount.kind == "secret":
                await to_thread.run_sync(self._grants.secret, mount, operation.where)
            elif mount.kind == "ssh":
                self._grants.agent(mount, operation.where)
            elif mount.kind == "bind":
                origin = await self._origin_of(operation, mount) if mount.origin else None
                if origin is not None and origin.tree is None:
                    digests.append(origin.top)
                else:
                    tree = self._tree if origin is None or origin.tree is None else origin.tree
                    selection = await to_thread.run_sync(_selected, operation, mount, tree)
                    digests.append(await to_thread.run_sync(selection.digest, False))
            elif mount.kind == "cache" and mount.origin:
                await self._origin_of(operation, mount)
        return digests

    async def _origin_of(self, operation: RunOperation, mount: RunMount) -> Origin:
        try:
            return await self._origin(mount.origin)
        except PystackError as error:
            raise operation.where.failed(error) from error

    @asynccontextmanager
    async def ready(self, operation: RunOperation) -> AsyncGenerator[Ready]:
        """All of the operation's mounts while the block lasts."""
        with single_errors():
            async with AsyncExitStack() as stack:
                found = Ready()
                for mount in operation.mounts:
                    await self._add(found, operation, mount, stack)
                yield found

    async def _add(
        self, found: Ready, operation: RunOperation, mount: RunMount, stack: AsyncExitStack
    ) -> None:
        match mount.kind:
            case "tmpfs":
                found.mounts.append((_mount(mount), ""))
            case "cache":
                fill: Fill | None = None
                if mount.origin:
                    fill = partial(self._fill, operation, mount, await self._origin(mount.origin))
                path = await stack.enter_async_context(self._caches.open(mount, fill))
                if mount.source and not mount.origin:
                    raise operation.where.invalid("a cache mount has a source only with from=")
                found.mounts.append((_mount(mount), str(path)))
            case "bind":
                source = await self._bind_source(operation, mount, stack)
                found.mounts.append((_mount(mount), str(source)))
            case "secret":
                await self._secret(found, operation, mount, stack)
            case "ssh":
                agent = self._grants.agent(mount, operation.where)
                if agent:
                    place = await stack.enter_async_context(self._workspaces.private())
                    path = await stack.enter_async_context(relayed(agent, place, mount))
                    found.mounts.append((_mount(mount), str(path)))
                    found.environment.setdefault("SSH_AUTH_SOCK", mount.target)

    async def _secret(
        self, found: Ready, operation: RunOperation, mount: RunMount, stack: AsyncExitStack
    ) -> None:
        data = await to_thread.run_sync(self._grants.secret, mount, operation.where)
        if data is None:
            return
        if mount.variable:
            found.environment[mount.variable] = data.decode("utf-8", "surrogateescape")
        if mount.target:
            place = await stack.enter_async_context(self._workspaces.private())
            await to_thread.run_sync(write_secret, place / "secret", data, mount)
            found.mounts.append((_mount(mount), str(place / "secret")))

    async def _fill(
        self, operation: RunOperation, mount: RunMount, origin: Origin, directory: Path
    ) -> None:
        async with self._tree_of(origin) as tree:
            selection = await to_thread.run_sync(_selected, operation, mount, tree)
            placement = Placement(root=directory, keep_owner=True)
            await to_thread.run_sync(place, selection, "/", placement)

    @asynccontextmanager
    async def _tree_of(self, origin: Origin) -> AsyncGenerator[Tree]:
        if origin.tree is not None:
            yield origin.tree
            return
        async with self._workspaces.scratch(origin.layers) as root:
            yield Tree(root)

    async def _bind_source(
        self, operation: RunOperation, mount: RunMount, stack: AsyncExitStack
    ) -> Path:
        tree = self._tree
        if mount.origin:
            origin = await self._origin(mount.origin)
            if origin.tree is None:
                root = await stack.enter_async_context(self._workspaces.scratch(origin.layers))
                try:
                    return await to_thread.run_sync(real_path, root, mount.source or "/")
                except OSError:
                    raise operation.where.invalid(
                        f"{mount.source}: not found in {mount.origin}"
                    ) from None
            tree = origin.tree
        if not mount.read_only:
            return await self._copied(operation, mount, tree, stack)
        async with self._copying:
            key = (mount.origin, mount.source)
            if key not in self._copies:
                copied = self._copied(operation, mount, tree, self._stack)
                self._copies[key] = await copied
            return self._copies[key]

    async def _copied(
        self, operation: RunOperation, mount: RunMount, tree: Tree, stack: AsyncExitStack
    ) -> Path:
        # A copy: what .dockerignore hides stays hidden, and nothing is written to the context.
        selection = await to_thread.run_sync(_selected, operation, mount, tree)
        copy = await stack.enter_async_context(self._workspaces.directory())
        await to_thread.run_sync(place, selection, "/", Placement(root=copy))
        first = selection.items[0]
        return copy if first.entry.kind == "directory" else copy / first.name


def _selected(operation: RunOperation, mount: RunMount, tree: Tree) -> Selection:
    selection = select_all(tree, mount.source)
    if selection is None:
        raise operation.where.invalid(
            f"{mount.source}: not found in {mount.origin or 'the context'}",
            "check the path, and that .dockerignore does not exclude it",
        )
    return selection


def _mount(mount: RunMount) -> Mount:
    return Mount(
        kind="tmpfs" if mount.kind == "tmpfs" else "bind",
        target=mount.target,
        read_only=mount.read_only or mount.kind == "secret",
        tmpfs_size_bytes=mount.size_bytes,
        recursive="disabled",
    )
