"""The build cache as something that takes room: how much, what of it can go, and its bounds."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from anyio import to_thread

from orchestrator.build.cachemounts import CacheDirectories
from orchestrator.engine.images import Images
from orchestrator.state.buildcache import CachedStep
from orchestrator.state.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """One thing in the build cache: a layer that steps made (`kind` regular, `keys` those steps),
    or the directory of a cache mount (exec.cachemount). `shared` says that an image has it too, so
    that pruning frees nothing; `in_use` that a build works with it."""

    id: str
    kind: str
    description: str
    size_bytes: int
    created_at: float
    last_used_at: float
    keys: tuple[str, ...] = ()
    shared: bool = False
    in_use: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheUsage:
    """The whole build cache; `reclaimable_bytes` is what pruning it would free."""

    entries: tuple[CacheEntry, ...] = ()

    @property
    def count(self) -> int:
        return len(self.entries)

    @property
    def total_bytes(self) -> int:
        return sum(entry.size_bytes for entry in self.entries)

    @property
    def reclaimable_bytes(self) -> int:
        return sum(e.size_bytes for e in self.entries if not e.shared and not e.in_use)

    @property
    def active(self) -> int:
        """How many entries are in use."""
        return sum(entry.in_use for entry in self.entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What pruning took away: ids of entries, and bytes freed."""

    ids: tuple[str, ...] = ()
    size_bytes: int = 0


class BuildStorage:
    """The room that the build cache takes."""

    def __init__(self, database: Database, images: Images, caches: CacheDirectories) -> None:
        self._database = database
        self._records = database.build_cache
        self._images = images
        self._caches = caches

    async def usage(self) -> CacheUsage:
        """Everything in the build cache, last used first."""
        mounts = await to_thread.run_sync(self._caches.all)
        found = [
            CacheEntry(
                id=mount.name,
                kind="exec.cachemount",
                description=f"cache mount {mount.id}",
                size_bytes=mount.size_bytes,
                created_at=mount.created_at,
                last_used_at=mount.last_used_at,
                in_use=self._caches.in_use(mount.name),
            )
            for mount in mounts
        ]
        found += self._steps()
        found.sort(key=lambda entry: (-entry.last_used_at, entry.id))
        return CacheUsage(entries=tuple(found))

    async def prune(
        self,
        *,
        everything: bool = False,
        keep_bytes: int = 0,
        unused_for_s: float = 0.0,
        ids: Collection[str] = (),
        kinds: Collection[str] = (),
    ) -> Pruned:
        """What went: the entries that nothing uses and no image shares (with `everything` those
        too), least recently used first, until what is left takes at most `keep_bytes`; only those
        unused for `unused_for_s` seconds, and of these ids and kinds where any are given."""
        usage = await self.usage()
        left = sum(entry.size_bytes for entry in usage.entries if not entry.shared)
        now = time.time()
        gone: list[CacheEntry] = []
        for entry in reversed(usage.entries):
            if entry.in_use or (entry.shared and not everything):
                continue
            if now - entry.last_used_at < unused_for_s:
                continue
            if (ids and entry.id not in ids) or (kinds and entry.kind not in kinds):
                continue
            if keep_bytes and left <= keep_bytes:
                break
            gone.append(entry)
            left -= 0 if entry.shared else entry.size_bytes
        return await self._remove(gone)

    async def bound(self, max_bytes: int) -> Pruned:
        """As `prune`, down to max_bytes, where there is more; 0 is no bound."""
        if not max_bytes:
            return Pruned()
        return await self.prune(keep_bytes=max_bytes)

    async def _remove(self, entries: Iterable[CacheEntry]) -> Pruned:
        ids: list[str] = []
        freed = 0
        for entry in entries:
            ids.append(entry.id)
            for key in entry.keys:
                self._records.delete(key)
            if entry.kind == "exec.cachemount":
                await self._caches.remove(entry.id)
                freed += entry.size_bytes
        if ids:
            freed += await self._images.collect()
        return Pruned(ids=tuple(ids), size_bytes=freed)

    def _steps(self) -> list[CacheEntry]:
        needed = {layer.chain_id for image in self._images.all() for layer in image.layers}
        by_layer: dict[str, list[CachedStep]] = {}
        for step in self._records:
            chain = step.layer.chain_id if step.layer else f"step:{step.id}"
            by_layer.setdefault(chain, []).append(step)
        return [_entry(chain, steps, needed) for chain, steps in by_layer.items()]


def _entry(chain: str, steps: list[CachedStep], needed: Collection[str]) -> CacheEntry:
    first = steps[0]
    return CacheEntry(
        id=chain.removeprefix("sha256:").removeprefix("step:")[:25],
        kind="regular",
        description=first.description,
        size_bytes=first.layer.size_bytes if first.layer else 0,
        created_at=min(step.created_at for step in steps),
        last_used_at=max(step.last_used_at for step in steps),
        keys=tuple(step.id for step in steps),
        shared=chain in needed,
    )
