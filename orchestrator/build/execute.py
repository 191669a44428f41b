"""Operations performed: each makes the layer of its changes, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.build.archive import unpack
from orchestrator.build.modes import Mode
from orchestrator.build.operations import CopyOperation, DirectoryOperation, RunOperation
from orchestrator.build.runmounts import RunMounts
from orchestrator.build.runner import Runner, Sandbox
from orchestrator.build.runnetwork import RunNetworks
from orchestrator.build.selection import Selection
from orchestrator.build.transfer import Placement, make_directory, place, place_tree
from orchestrator.build.workspace import Workspace, Workspaces
from orchestrator.errors import Failed
from orchestrator.model.image import Layer
from orchestrator.runtime.user import resolve_user

_SHOWN_LINES = 20
Owner = tuple[int, int] | None


class Executor:
    """Performs operations on top of finished layers; at most as many at a time as limiter says."""

    def __init__(
        self, workspaces: Workspaces, runner: Runner, limiter: anyio.CapacityLimiter
    ) -> None:
        self.workspaces = workspaces
        self._runner = runner
        self._limiter = limiter

    async def make_directory(
        self, layers: Sequence[Layer], operation: DirectoryOperation, epoch: int | None
    ) -> Layer | None:
        """The layer with the directory; None where it is there.  Raises: Failed."""

        async def work(workspace: Workspace) -> None:
            owner = (0, 0)
            if operation.owner:
                owner = await to_thread.run_sync(_owner, workspace.root, operation.owner)
            await to_thread.run_sync(make_directory, workspace.root, operation.path, owner)

        async with self._limiter:
            return await self.workspaces.change(layers, work, epoch)

    async def owner(self, layers: Sequence[Layer], operation: CopyOperation) -> Owner:
        """Whose the copied files are to be, as the layers know users; None where nobody's name is
        given.  Raises: Failed: no such user or group."""
        written = operation.owner
        if not written:
            return None
        if all(part.isdecimal() for part in written.split(":")):
            return _owner(self.workspaces.place, written)
        async with self.workspaces.scratch(layers) as root:
            return await to_thread.run_sync(_owner, root, written)

    async def copy(
        self,
        layers: Sequence[Layer],
        operation: CopyOperation,
        selection: Selection,
        owner: Owner,
        keep_owner: bool,
        epoch: int | None,
    ) -> Layer | None:
        """The layer with the copied files; `keep_owner` lets them stay their owners', where no
        other is given.  Raises: Failed: something is in the way; an archive is damaged."""

        async def work(workspace: Workspace) -> None:
            placement = Placement(
                root=workspace.root,
                owner=owner,
                mode=Mode(operation.mode) if operation.mode else None,
                keep_owner=keep_owner,
            )
            if selection.items or selection.documents:
                await to_thread.run_sync(place, selection, operation.destination, placement)
            for tree, archive in selection.archives:
                async with self.workspaces.directory() as directory:
                    with tree.open(archive) as file:
                        await to_thread.run_sync(unpack, file, directory)
                    await to_thread.run_sync(
                        place_tree, directory, operation.destination, _unpacked(placement)
                    )

        async with self._limiter:
            return await self.workspaces.change(layers, work, epoch)

    async def run(
        self,
        layers: Sequence[Layer],
        operation: RunOperation,
        mounts: RunMounts,
        sandbox: Sandbox,
        networks: RunNetworks,
        emit: Callable[[str], None],
        epoch: int | None,
    ) -> Layer | None:
        """The layer of what the process changed.

        Raises: Failed: code build-failed, when its exit code is not 0.
        """

        async def work(workspace: Workspace) -> None:
            async with mounts.ready(operation) as ready:
                ended = await self._runner.run(workspace, operation, ready, sandbox, networks, emit)
            if ended.exit_code != 0:
                raise _run_failed(operation, ended.exit_code, ended.last_lines)

        async with self._limiter:
            return await self.workspaces.change(layers, work, epoch)


def _owner(root: Path, written: str) -> tuple[int, int]:
    user = resolve_user(root, written)
    # A number alone is both; a name has the group that /etc/passwd gives it, as with BuildKit.
    return user.uid, user.uid if written.isdecimal() else user.gid


def _unpacked(placement: Placement) -> Placement:
    """An archive's files keep the owners that the archive gives them."""
    return Placement(root=placement.root, owner=placement.owner, keep_owner=True)


def _run_failed(operation: RunOperation, exit_code: int, last_lines: Sequence[str]) -> Failed:
    shown = "".join(f"\n  {line}" for line in last_lines[-_SHOWN_LINES:])
    return Failed(
        f"{operation.where}: {operation.text}: exit code {exit_code}{shown}",
        code="build-failed",
        about=str(operation.where),
        hint="the steps before it are in the cache: mend this one and build again",
    )
