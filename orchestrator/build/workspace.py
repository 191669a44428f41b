"""Roots that a build works in: overlays over finished layers, of which the changes become a layer.

A root that is not finished is nowhere to be seen: its files are in the store's tmp and the build's
own run-time directory, which the next engine empties.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.build.stubs import Stubs, remove_stubs
from orchestrator.images.built import adopt_layer
from orchestrator.images.chain import chain_id
from orchestrator.images.content import ContentStore, LayerRecord
from orchestrator.model.ids import new_id
from orchestrator.model.image import Layer
from orchestrator.volumes.mounts import mount_overlay, unmount

_UNDO_S = 30.0


@dataclass(slots=True, kw_only=True)
class Workspace:
    """A mounted root. `place` is for files that last as long as it; `stubs` are what the work left
    behind unwillingly."""

    id: str
    place: Path
    root: Path
    stubs: Stubs | None = None


class Workspaces:
    """Makes such roots, in the store and below the directory `place`."""

    def __init__(self, store: ContentStore, place: Path) -> None:
        self._store = store
        self.place = place

    async def change(
        self,
        layers: Sequence[Layer],
        work: Callable[[Workspace], Awaitable[None]],
        epoch: int | None = None,
    ) -> Layer | None:
        """The layer that work has made on top of layers; None where it changed nothing. No file
        in it is younger than epoch (Unix seconds), where there is one.

        Raises: what work raises, and then nothing of it stays; Failed: the kernel refused.
        """
        upper = self._store.begin_layer()
        try:
            async with self._mounted(layers, upper) as workspace:
                await work(workspace)
            if workspace.stubs is not None:
                await to_thread.run_sync(remove_stubs, upper, workspace.stubs)
            if not any(upper.iterdir()):
                return None
            if epoch is not None:
                await to_thread.run_sync(_clamp_times, upper, epoch)
            return await adopt_layer(self._store, upper, layers[-1].chain_id if layers else "")
        finally:
            await self._discard(upper)

    async def relink(self, layers: Sequence[Layer], layer: Layer) -> Layer:
        """The lowest layer `layer` on top of layers instead, its files shared with it."""
        if not layers:
            return layer
        chain = chain_id(layers[-1].chain_id, layer.diff_id)
        moved = replace(layer, chain_id=chain)
        if await to_thread.run_sync(self._store.layer, chain) is not None:
            return moved
        copy = self._store.begin_layer()
        record = LayerRecord(
            chain_id=chain, diff_id=layer.diff_id, size_bytes=layer.size_bytes, blob=layer.blob
        )
        try:
            source = self._store.layer_dir(layer.chain_id)
            await to_thread.run_sync(_link_tree, source, copy)
            await to_thread.run_sync(self._store.commit_layer, copy, record)
        finally:
            await self._discard(copy)
        return moved

    @asynccontextmanager
    async def private(self) -> AsyncGenerator[Path]:
        """An empty directory in the run-time directory that only its owner can enter, gone after
        the block."""
        # Short, as a socket's path may have 107 bytes.
        path = self.place / secrets.token_hex(6)
        try:
            await to_thread.run_sync(partial(path.mkdir, mode=0o700, parents=True))
            yield path
        finally:
            with anyio.move_on_after(_UNDO_S, shield=True):
                await to_thread.run_sync(partial(shutil.rmtree, path, ignore_errors=True))

    @asynccontextmanager
    async def scratch(self, layers: Sequence[Layer]) -> AsyncGenerator[Path]:
        """A root of these layers, to read and to write to; what is written is forgotten."""
        upper = self._store.begin_layer()
        try:
            async with self._mounted(layers, upper) as workspace:
                yield workspace.root
        finally:
            await self._discard(upper)

    @asynccontextmanager
    async def directory(self) -> AsyncGenerator[Path]:
        """An empty directory on the store's filesystem, gone after the block."""
        path = self._store.begin_layer()
        try:
            yield path
        finally:
            await self._discard(path)

    async def clear(self, identifier: str) -> None:
        """Nothing, once neither mount nor run-time file of that workspace is left."""
        place = self.place / identifier
        workspace = Workspace(id=identifier, place=place, root=place / "merged")
        await to_thread.run_sync(_clear, workspace)

    @asynccontextmanager
    async def _mounted(self, layers: Sequence[Layer], upper: Path) -> AsyncGenerator[Workspace]:
        identifier = new_id()
        work = self._store.begin_layer()
        place = self.place / identifier
        workspace = Workspace(id=identifier, place=place, root=place / "merged")
        try:
            await to_thread.run_sync(self._mount, layers, upper, work, workspace.root)
            yield workspace
        finally:
            with anyio.move_on_after(_UNDO_S, shield=True):
                await to_thread.run_sync(_clear, workspace)
            await self._discard(work)

    def _mount(self, layers: Sequence[Layer], upper: Path, work: Path, root: Path) -> None:
        lowers = self._store.lowers(layers)
        root.mkdir(parents=True)
        # The root directory's own mode and owner come from the upper directory.
        info = lowers[0].stat()
        shutil.copymode(lowers[0], upper)
        shutil.chown(upper, info.st_uid, info.st_gid)
        mount_overlay(lowers, upper, work, root)

    async def _discard(self, path: Path) -> None:
        with anyio.move_on_after(_UNDO_S, shield=True):
            await to_thread.run_sync(self._store.discard, path)


def _clamp_times(upper: Path, epoch: int) -> None:
    for above, directories, files in os.walk(upper):
        for name in (*directories, *files):
            path = f"{above}/{name}"
            if os.lstat(path).st_mtime > epoch:
                os.utime(path, (epoch, epoch), follow_symlinks=False)


def _link_tree(source: Path, target: Path) -> None:
    """Nothing, once target has the directories of source, and links to its files."""
    found = [source]
    for above, directories, files in os.walk(source):
        new = target / Path(above).relative_to(source)
        for name in directories:
            path = Path(above, name)
            if path.is_symlink():
                os.link(path, new / name, follow_symlinks=False)
            else:
                (new / name).mkdir()
                found.append(path)
        for name in files:
            os.link(Path(above, name), new / name, follow_symlinks=False)
    for directory in reversed(found):
        new = target / directory.relative_to(source)
        info = directory.stat()
        os.chown(new, info.st_uid, info.st_gid)
        shutil.copystat(directory, new)


def _clear(workspace: Workspace) -> None:
    unmount(workspace.root)
    shutil.rmtree(workspace.place, ignore_errors=True)
