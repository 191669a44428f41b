"""Operations on named volumes. The files are the local driver's; the records are made here."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.aio.changes import Changes
from orchestrator.engine.events import Events
from orchestrator.errors import Conflict, InvalidInput, NotFound
from orchestrator.model.container import Mount
from orchestrator.model.ids import new_id
from orchestrator.model.observed import Container, Volume
from orchestrator.settings import Settings
from orchestrator.state.database import Database
from orchestrator.volumes import local
from orchestrator.volumes.mounts import mount_from
from orchestrator.volumes.options import check_options


class Volumes:
    """Every volume of this engine."""

    def __init__(self, database: Database, settings: Settings, events: Events) -> None:
        self._database = database
        self._root = settings.data_dir / "volumes"
        self._events = events
        self._filling: dict[str, anyio.Lock] = {}
        self._going: set[str] = set()
        self._gone = Changes()

    def all(self) -> list[Volume]:
        """Every volume, by name."""
        return sorted(self._database.volumes, key=lambda v: v.name)

    def get(self, name: str) -> Volume:
        """The volume of that name.  Raises: NotFound."""
        volume = self._database.volumes.named(name)
        if volume is None:
            raise self._absent(name)
        return volume

    async def ensure(
        self,
        name: str = "",
        *,
        driver: str = "local",
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        anonymous: bool = False,
    ) -> Volume:
        """The volume of that name, made where there is none; without a name an anonymous one, as
        one that goes with its container has a name that says nothing.

        Raises: InvalidInput: the driver is not `local`, or has no such option.
        """
        # One that is being removed is not there any more, though its files may still be.
        await self._gone.until(lambda: name not in self._going or None)
        if name and (found := self._database.volumes.named(name)) is not None:
            return found
        if driver not in ("local", ""):
            raise InvalidInput(
                f"volume {name}: no volume driver {driver!r}",
                code="no-such-driver",
                about=name,
                hint="use the driver `local`",
            )
        check_options(options or {})
        anonymous = anonymous or not name
        name = name or new_id()
        data = self._root / name / "_data"
        volume = Volume(
            name=name,
            driver="local",
            created_at=time.time(),
            mountpoint=str(data),
            anonymous=anonymous,
            options=dict(options or {}),
            labels=dict(labels or {}),
        )
        self._database.volumes.put(volume)
        await to_thread.run_sync(local.create, data)
        self._events.tell("volume", "create", name, {"driver": "local"})
        return volume

    @staticmethod
    def named(wanted: Sequence[Mount], kept: Mapping[str, str]) -> tuple[Mount, ...]:
        """The mounts with every volume named, none made: a container's record has the names before
        there is anything that could be left behind.

        `kept` maps a target to the anonymous volume that an earlier container had there.
        """
        return tuple(
            replace(mount, source=kept.get(mount.target) or new_id())
            if mount.kind == "volume" and not mount.source
            else mount
            for mount in wanted
        )

    async def make(self, wanted: Sequence[Mount], named: Sequence[Mount]) -> None:
        """Nothing, once there is every volume of `named`, which `wanted` became.

        Raises: InvalidInput: no such driver or option.
        """
        for before, mount in zip(wanted, named, strict=True):
            if mount.kind == "volume":
                await self.ensure(
                    mount.source,
                    driver=mount.volume_driver,
                    options=mount.volume_options,
                    labels=mount.volume_labels,
                    anonymous=not before.source,
                )

    def lacking(self, container: Container) -> bool:
        """Whether a volume of the container's is missing: its creation was cut short."""
        return any(
            mount.kind == "volume" and self._database.volumes.named(mount.source) is None
            for mount in container.mounts
        )

    async def use(self, mount: Mount) -> Path:
        """The directory of a mount's volume, with what its options mount there.

        Raises: NotFound: no such volume; Failed: it cannot be mounted.
        """
        volume = self.get(mount.source)
        place = Path(volume.mountpoint)
        # Its creation may have been cut short after it was recorded.
        await to_thread.run_sync(self._mount if volume.options else self._make, volume)
        return place

    def _make(self, volume: Volume) -> None:
        local.create(Path(volume.mountpoint))

    def _mount(self, volume: Volume) -> None:
        place = Path(volume.mountpoint)
        local.create(place)
        for user in self.users(volume.name):
            # An earlier engine may have mounted it, out of our sight; what is in memory alone
            # would else be another one.
            target = next(m.target for m in user.mounts if m.source == volume.name)
            if user.running and volume.options.get("type") == "tmpfs" and not local.mounted(place):
                with suppress(OSError):
                    mount_from(user.state.pid, target, place)
        local.mount_at(place, volume.options)

    async def leave(self, container: Container) -> None:
        """Nothing, once what is mounted at the container's volumes and used by no other running
        container is unmounted."""
        for mount in container.mounts:
            volume = self._database.volumes.named(mount.source) if mount.kind == "volume" else None
            if volume is None or not volume.options:
                continue
            if not any(c.running and c.id != container.id for c in self.users(volume.name)):
                await to_thread.run_sync(local.unmount_at, Path(volume.mountpoint))

    def tell_mounts(self, action: str, container: Container) -> None:
        """Nothing; of each of the container's volumes it is told that it is mounted or not."""
        for mount in container.mounts:
            if mount.kind == "volume":
                how = {
                    "destination": mount.target,
                    "read/write": str(not mount.read_only).lower(),
                    "propagation": mount.propagation,
                }
                attributes = {"container": container.id, "driver": "local"}
                more = how if action == "mount" else {}
                self._events.tell("volume", action, mount.source, {**attributes, **more})

    async def fill(self, mount: Mount, rootfs: Path) -> None:
        """Nothing, once a volume that is used for the first time holds what the image has there.

        Source: Docker's "Volumes" page, "Populate a volume using a container".
        """
        if mount.nocopy or mount.subpath:
            return
        data = Path(self.get(mount.source).mountpoint)
        lock = self._filling.setdefault(mount.source, anyio.Lock())
        try:
            async with lock:
                await to_thread.run_sync(local.fill_from_image, data, rootfs, mount.target)
        finally:
            if not lock.locked() and self._filling.get(mount.source) is lock:
                del self._filling[mount.source]

    def users(self, name: str) -> list[Container]:
        """The containers, running or not, that mount the volume."""
        return [
            c
            for c in self._database.containers
            if any(m.kind == "volume" and m.source == name for m in c.mounts)
        ]

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Nothing, once the volume and its data are gone.

        Raises: NotFound, unless force; Conflict: a container uses it.
        """
        volume = self._database.volumes.named(name)
        if volume is None:
            if force:
                return
            raise self._absent(name)
        if users := self.users(name):
            raise Conflict(
                f"volume {name} is in use by container {users[0].name}",
                code="volume-in-use",
                about=name,
                hint=f"remove the container first: `pystack rm -f {users[0].name}`",
            )
        await self._delete(volume)

    async def _delete(self, volume: Volume) -> None:
        if volume.name in self._going:
            await self._gone.until(lambda: volume.name not in self._going or None)
            return
        self._going.add(volume.name)
        try:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(local.remove, Path(volume.mountpoint))
            self._database.volumes.delete(volume.name)
        finally:
            self._going.discard(volume.name)
            self._gone.ring()
        self._events.tell("volume", "destroy", volume.name, {"driver": volume.driver})

    @staticmethod
    def _absent(name: str) -> NotFound:
        return NotFound(
            f"no such volume: {name}",
            code="no-such-volume",
            about=name,
            hint="`pystack volume ls` lists the volumes",
        )

    async def remove_anonymous(self, container: Container) -> None:
        """Nothing, once the container's anonymous volumes that nobody else uses are gone."""
        for mount in container.mounts:
            volume = self._database.volumes.named(mount.source)
            if mount.kind == "volume" and volume is not None and volume.anonymous:
                others = [c for c in self.users(volume.name) if c.id != container.id]
                if not others:
                    await self._delete(volume)
