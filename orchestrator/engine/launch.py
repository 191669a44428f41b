"""From a container's record to its running process, and back to nothing but its files.

`launch` either ends with the process running, on its networks, its ports published, or undoes all
of it. `land` is that undoing, and also what follows an exit; it may be repeated at any time and is
what a new engine calls for everything that the last one left half done.
"""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.engine.images import Images
from orchestrator.engine.networks import Networks
from orchestrator.engine.volumes import Volumes
from orchestrator.errors import Conflict
from orchestrator.model.container import Mount
from orchestrator.model.observed import Container
from orchestrator.runtime.bundle import Bundle, oci_config, write_bundle
from orchestrator.runtime.cgroups import remove_cgroup
from orchestrator.runtime.driver import Runtime
from orchestrator.runtime.process import pid_start_time, wait_monitor
from orchestrator.runtime.user import resolve_user
from orchestrator.settings import Settings
from orchestrator.state.database import Database
from orchestrator.volumes import mounts


class Launcher:
    """Starts and takes down containers; keeps no state of its own."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        runtime: Runtime,
        images: Images,
        networks: Networks,
        volumes: Volumes,
        limiter: anyio.CapacityLimiter,
    ) -> None:
        self._settings = settings
        self._database = database
        self._runtime = runtime
        self._images = images
        self._networks = networks
        self._volumes = volumes
        self._limiter = limiter

    def files(self, identifier: str) -> Path:
        """The directory of the container's own files: writable layer, log, hosts."""
        return self._settings.data_dir / "containers" / identifier

    def place(self, identifier: str) -> Path:
        """The directory of what lasts only while the container runs: bundle, root, sockets."""
        return self._settings.run_dir / "containers" / identifier

    def bundle(self, container: Container) -> Bundle:
        """Where the container's runtime finds everything."""
        place = self.place(container.id)
        return Bundle(
            id=container.id,
            path=place,
            rootfs=place / "merged",
            log_path=self.files(container.id) / "container.log",
            exit_dir=place / "exit",
            terminal=container.spec.tty,
            stdin=container.spec.stdin_open,
            # Never for a terminal: its one end is also where the output comes from.
            stdin_once=container.spec.stdin_once and not container.spec.tty,
            log_driver=container.spec.log_driver,
        )

    async def launch(
        self, container: Container, created: Callable[[str], Awaitable[None]]
    ) -> tuple[int, int]:
        """The process id of the container and that process's start time in clock ticks.

        `created` is awaited between the creation and the start, when nothing was said yet.

        Raises: Failed: the runtime refused; its message is the error's.  Conflict: a port is taken.
        """
        async with self._limiter:
            try:
                return await self._launch(container, created)
            except BaseException:
                with anyio.move_on_after(30, shield=True):
                    await self.land(container)
                raise

    async def _launch(
        self, container: Container, created: Callable[[str], Awaitable[None]]
    ) -> tuple[int, int]:
        image = self._images.get(container.image_id)
        bundle = self.bundle(container)
        files = self.files(container.id)
        await to_thread.run_sync(self._mount_root, container, self._images.lowers(image), bundle)
        binds: list[tuple[Mount, str]] = []
        for mount in container.mounts:
            source = await self._source(mount, bundle.rootfs)
            bound = source
            if mount.kind != "tmpfs":
                bound = str(await to_thread.run_sync(mounts.bind_source, mount, Path(source)))
            binds.append((mount, bound))
        await self._networks.write_hosts(files, container)
        user = await to_thread.run_sync(
            resolve_user,
            bundle.rootfs,
            container.spec.user if container.spec.user is not None else image.config.user,
            container.spec.group_add,
        )
        config = oci_config(
            container,
            image.config,
            user=user,
            mounts=binds,
            files=files,
            rootfs=bundle.rootfs,
            cgroups_path=f"/{self._settings.cgroup_parent}/{container.id}",
            namespaces=self._joined(container),
        )
        await to_thread.run_sync(write_bundle, bundle, config)
        pid = await self._runtime.create(bundle)
        started = pid_start_time(pid)
        await self._networks.connect(container, pid)
        await self._networks.publish(container)
        await created(container.id)
        await self._runtime.start(container.id)
        return pid, started

    def _mount_root(self, container: Container, lowers: list[Path], bundle: Bundle) -> None:
        files = self.files(container.id)
        for directory in (files / "upper", files / "work", bundle.rootfs, bundle.exit_dir):
            directory.mkdir(parents=True, exist_ok=True)
        mounts.mount_overlay(lowers, files / "upper", files / "work", bundle.rootfs)

    async def _source(self, mount: Mount, rootfs: Path) -> str:
        if mount.kind == "volume":
            await self._volumes.fill(mount, rootfs)
            return self._volumes.get(mount.source).mountpoint
        return mount.source

    def _joined(self, container: Container) -> dict[str, str]:
        """Namespaces that are not the container's own: kind to path, "" for the host's."""
        joined: dict[str, str] = {}
        modes = {
            "network": container.spec.network_mode,
            "pid": container.spec.pid_mode,
            "ipc": container.spec.ipc_mode,
        }
        for kind, mode in modes.items():
            if mode == "host":
                joined[kind] = ""
            elif mode.startswith("container:"):
                joined[kind] = self._namespace_of(container, mode.removeprefix("container:"), kind)
        return joined

    def _namespace_of(self, container: Container, name: str, kind: str) -> str:
        other = self._database.containers.named(name) or self._database.containers.get(name)
        if other is None or not other.running:
            raise Conflict(
                f"container {container.name} shares the {kind} namespace of {name},"
                " which is not running",
                code="namespace-owner-not-running",
                about=container.name,
                hint=f"start {name} first",
            )
        file = {"network": "net"}.get(kind, kind)
        return f"/proc/{other.state.pid}/ns/{file}"

    async def land(self, container: Container) -> None:
        """Nothing, once no process, port, mount or cgroup of the container is left."""
        await self._networks.withdraw(container)
        await self._runtime.delete(container.id, force=True)
        await wait_monitor(self.bundle(container))
        await to_thread.run_sync(self.clear, container.id)

    def clear(self, identifier: str) -> None:
        """Nothing, once mount, run-time files and cgroup are gone (blocking)."""
        place = self.place(identifier)
        mounts.unmount(place / "merged")
        shutil.rmtree(place, ignore_errors=True)
        remove_cgroup(f"{self._settings.cgroup_parent}/{identifier}")

    async def forget(self, identifier: str) -> None:
        """Nothing, once the container's own files are gone too."""
        await to_thread.run_sync(lambda: shutil.rmtree(self.files(identifier), ignore_errors=True))
