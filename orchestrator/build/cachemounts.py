"""The directories of cache mounts, by id, with what is known of each in a note beside it."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import msgspec
from anyio import to_thread

from orchestrator.build.instructions import RunMount

Fill = Callable[[Path], Awaitable[None]]


class CacheMount(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one cache: `id` as Dockerfiles name it, and what it held after its last
    use."""

    name: str
    id: str
    created_at: float
    last_used_at: float
    size_bytes: int = 0


class CacheDirectories:
    """The directories of cache mounts; one object for all builds of an engine."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._locks: dict[str, anyio.Lock] = {}
        self._users: Counter[str] = Counter()

    @asynccontextmanager
    async def open(self, mount: RunMount, fill: Fill | None = None) -> AsyncGenerator[Path]:
        """The cache's directory; fill puts the first content into a new one.

        A `locked` one is this block's alone, and another writer waits; a second writer of a
        `private` one has a directory of its own.
        """
        base = hashlib.sha256((mount.id or mount.target).encode()).hexdigest()[:32]
        name = base
        if mount.sharing == "private":
            number = 1
            while self._users[name]:
                number += 1
                name = f"{base}-{number}"
        self._users[name] += 1
        try:
            if mount.sharing == "locked":
                async with self._locks.setdefault(name, anyio.Lock()):
                    yield await self._ready(name, mount, fill)
            else:
                yield await self._ready(name, mount, fill)
        finally:
            self._users[name] -= 1
            with anyio.move_on_after(30, shield=True):
                await to_thread.run_sync(self._note, name, mount)

    def recover(self) -> None:
        """Nothing, once what a killed engine left half made or half removed is gone. Blocking."""
        for pattern in ("*.new", "*.trash", "*.half"):
            for path in self._place.glob(pattern):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)

    def all(self) -> list[CacheMount]:
        """Every cache that is here. Blocking."""
        found: list[CacheMount] = []
        for path in self._place.glob("*.json"):
            with suppress(OSError, msgspec.DecodeError):
                found.append(msgspec.json.decode(path.read_bytes(), type=CacheMount))
        return found

    def in_use(self, name: str) -> bool:
        return self._users[name] > 0

    async def remove(self, name: str) -> None:
        """Nothing, once the cache is gone; one in use stays."""
        if not self._users[name]:
            await to_thread.run_sync(self._remove, name)

    def _remove(self, name: str) -> None:
        path = self._place / name
        trash = self._place / f"{name}.trash"
        with suppress(FileNotFoundError):
            path.rename(trash)
        (self._place / f"{name}.json").unlink(missing_ok=True)
        shutil.rmtree(trash, ignore_errors=True)

    async def _ready(self, name: str, mount: RunMount, fill: Fill | None) -> Path:
        path = self._place / name
        if path.is_dir():
            return path
        new = self._place / f"{name}.new"
        await to_thread.run_sync(_make, new, mount)
        if fill is not None:
            await fill(new)
        with suppress(OSError):  # somebody else was quicker
            new.rename(path)
        return path

    def _note(self, name: str, mount: RunMount) -> None:
        path = self._place / f"{name}.json"
        now = time.time()
        created_at = now
        with suppress(OSError, msgspec.DecodeError):
            created_at = msgspec.json.decode(path.read_bytes(), type=CacheMount).created_at
        if not (self._place / name).is_dir():
            return
        note = CacheMount(
            name=name,
            id=mount.id or mount.target,
            created_at=created_at,
            last_used_at=now,
            size_bytes=_size(self._place / name),
        )
        half = path.with_suffix(".half")
        half.write_bytes(msgspec.json.encode(note))
        half.rename(path)


def _make(path: Path, mount: RunMount) -> None:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    os.chown(path, mount.user_id, mount.group_id)
    path.chmod(mount.mode)


def _size(directory: Path) -> int:
    """The bytes of the regular files below directory."""
    total = 0
    waiting = [str(directory)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as listing:
            for item in listing:
                with suppress(OSError):
                    if item.is_dir(follow_symlinks=False):
                        waiting.append(item.path)
                    elif item.is_file(follow_symlinks=False):
                        total += item.stat(follow_symlinks=False).st_size
    return total
