"""From a container's record to its running process, and back to nothing but its files.

`launch` either ends with the process running, on its networks, its ports published, or undoes all
of it. `land` is that undoing, and also what follows an exit; it may be repeated at any time and is
what a new engine calls for everything that the last one left half done.
"""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.aio.patience import after
from orchestrator.aio.slot import Slot
from orchestrator.engine import binding
from orchestrator.engine.binding import Binding
from orchestrator.engine.grants import Grants
from orchestrator.engine.images import Images
from orchestrator.engine.joining import Joining
from orchestrator.engine.link_variables import link_variables
from orchestrator.engine.networks import Networks
from orchestrator.engine.volumes import Volumes
from orchestrator.errors import Unavailable
from orchestrator.model.container import Mount
from orchestrator.model.ids import short_id
from orchestrator.model.image import ImageConfig
from orchestrator.model.observed import Container
from orchestrator.runtime.bundle import Bundle, oci_config, read_process, write_bundle
from orchestrator.runtime.cgroups import remove_cgroup
from orchestrator.runtime.confine import labels_of
from orchestrator.runtime.driver import Runtime
from orchestrator.runtime.endings import end_cgroup, end_monitor
from orchestrator.runtime.init import find_init
from orchestrator.runtime.kernel_limits import missing_limits
from orchestrator.runtime.process import pid_start_time, wait_monitor
from orchestrator.runtime.realtime import set_aside
from orchestrator.runtime.selinux import read_contexts, relabel_all
from orchestrator.runtime.user import resolve_user
from orchestrator.settings import Settings
from orchestrator.state.database import Database
from orchestrator.volumes import mounts

# Where a container finds the engine's socket.
_SOCKET_PLACE = "/run/pystack"
# How long conmon may take, after its container, for the log; and where it has no container.
_LOG_S = 5.0
_HANGING_S = 0.2
# A start that took longer than this hangs.
HANGS_AFTER_S = 5.0


class Launcher:
    """Starts and takes down containers; keeps no state of its own. `outside` is as `Binding`'s."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        runtime: Runtime,
        images: Images,
        networks: Networks,
        volumes: Volumes,
        grants: Grants,
        limiter: anyio.CapacityLimiter,
        outside: int = -1,
    ) -> None:
        self._settings = settings
        self._database = database
        self._runtime = runtime
        self._images = images
        self._networks = networks
        self._volumes = volumes
        self.grants = grants
        self._limiter = limiter
        self._launching: dict[str, anyio.CancelScope] = {}
        self._joining = Joining(database)
        self._binding = Binding(images, volumes, outside)

    def _socket_place(self) -> tuple[Mount, str]:
        """The mount that shows a container the engine's socket: the directory that it is in, as
        each engine makes a socket of its own."""
        place = str(self._settings.socket.parent)
        mount = Mount(
            kind="bind", source=place, target=_SOCKET_PLACE, read_only=True, recursive="disabled"
        )
        return mount, place

    def first_since_boot(self) -> bool:
        """Whether no engine has noted the boot here since the machine was started."""
        return not self._boot_marker.exists()

    def note_boot(self) -> None:
        """Nothing; what was to be done after a boot is done, or on record."""
        self._boot_marker.touch()

    @property
    def _boot_marker(self) -> Path:
        # What is in /run does not outlive the machine's going down.
        return self._settings.run_dir / "started"

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
            runtime=container.spec.runtime,
        )

    async def launch(
        self, container: Container, created: Callable[[str], Awaitable[None]]
    ) -> tuple[int, int]:
        """The process id of the container and that process's start time in clock ticks.

        `created` is awaited between the creation and the start, when nothing was said yet.

        Raises: Failed: the runtime refused; its message is the error's.  Conflict: a port is taken.
        Unavailable: the runtime hangs, or the launch was given up.
        """
        # One that hangs uses no processor: others need not wait for it.
        async with Slot(self._limiter) as slot:
            with after(HANGS_AFTER_S, slot.free), anyio.CancelScope() as scope:
                self._launching[container.id] = scope
                try:
                    return await self._launch(container, created)
                except BaseException:
                    # Each of its parts has a time of its own.
                    with anyio.CancelScope(shield=True):
                        await self.land(container)
                    raise
                finally:
                    del self._launching[container.id]
        raise Unavailable(
            f"the start of {container.name} was given up: it hung, and was wanted no more",
            code="start-given-up",
            about=container.name,
            hint="start it again",
        )

    def give_up(self, identifier: str) -> None:
        """Nothing; a launch of the container that is under way is undone, and raises."""
        if (scope := self._launching.get(identifier)) is not None:
            scope.cancel()

    def give_up_all(self) -> None:
        """Nothing; all launches that are under way are undone."""
        for identifier in list(self._launching):
            self.give_up(identifier)

    async def _launch(
        self, container: Container, created: Callable[[str], Awaitable[None]]
    ) -> tuple[int, int]:
        image = self._images.get(container.image_id)
        bundle = self.bundle(container)
        host = self._joining.host_of(container)
        files = self.files(host.id)
        await to_thread.run_sync(self._mount_root, container, self._images.lowers(image), bundle)
        binds = [
            (mount, await self._binding.bound(mount, position, bundle))
            for position, mount in enumerate(container.mounts)
        ]
        binds += await self.grants.place(container)
        seen = container
        if container.spec.use_api_socket:
            binds.append(self._socket_place())
            seen = _knowing_the_socket(container, self._settings.socket.name)
        if host is container:
            await self._networks.write_hosts(files, container)
        user = await to_thread.run_sync(
            resolve_user,
            bundle.rootfs,
            container.spec.user if container.spec.user is not None else image.config.user,
            container.spec.group_add,
        )
        labels = labels_of(container, read_contexts())
        await to_thread.run_sync(relabel_all, labels, files, binds)
        config = oci_config(
            seen,
            image.config,
            user=user,
            mounts=binds,
            files=files,
            rootfs=bundle.rootfs,
            cgroups_path=self.cgroup(container),
            namespaces=self._joining.namespaces(container),
            init=find_init() if container.spec.init else "",
            shm=await self._joining.shared_memory(container, bundle.path / "shm"),
            hostname=host.spec.hostname or short_id(host.id),
            linked=self._linked(container),
        )
        await to_thread.run_sync(write_bundle, bundle, config)
        limits = container.spec.resources
        if limits.cpu_rt_runtime_us and "cpu-rt" not in missing_limits():
            above = self.cgroup(container).rpartition("/")[0]
            await to_thread.run_sync(
                set_aside, above, limits.cpu_rt_runtime_us, limits.cpu_rt_period_us
            )
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
        label = labels_of(container, read_contexts()).mount
        mounts.mount_overlay(lowers, files / "upper", files / "work", bundle.rootfs, label=label)

    def _linked(self, container: Container) -> dict[str, str]:
        records = self._database.containers

        def image_of(other: Container) -> ImageConfig:
            image = self._images.find(other.image_id)
            return image.config if image else ImageConfig()

        return link_variables(
            container, lambda name: records.named(name) or records.get(name), image_of
        )

    async def bound(self, mount: Mount, position: int, bundle: Bundle) -> str:
        """The host path that the mount shows, "" for a tmpfs.  Raises: as Binding.bound."""
        return await self._binding.bound(mount, position, bundle)

    async def land(self, container: Container) -> None:
        """Nothing, once no process, port, mount or cgroup of the container is left."""
        await self._networks.withdraw(container)
        await self._runtime.delete(container.id, force=True)
        await self.unwatch(container.id)
        await to_thread.run_sync(self.clear, container.id, container.spec.cgroup_parent)
        await self._volumes.leave(container)

    async def unwatch(self, identifier: str) -> None:
        """Nothing, once no conmon of the container is left, nor a runtime that it waits for.

        It has some seconds for the last of the log, unless it hangs with its runtime: then there
        is no container that it could have anything from.
        """
        place = self.place(identifier)
        bundle = Bundle(
            id=identifier, path=place, rootfs=place, log_path=place, exit_dir=place / "exit"
        )
        if bundle.conmon_pid_file.exists():
            patience_s = _LOG_S if bundle.pid_file.exists() else _HANGING_S
            if await wait_monitor(bundle, patience_s):
                return
        elif not bundle.config.exists():
            return
        await to_thread.run_sync(end_monitor, bundle)

    def clear(self, identifier: str, cgroup_parent: str = "") -> None:
        """Nothing, once mounts, run-time files and cgroup are gone (blocking)."""
        place = self.place(identifier)
        # Each must be gone before the directory is emptied, or what it shows would be lost.
        binding.clear(place)
        for name in ("shm", "merged"):
            mounts.unmount(place / name)
        shutil.rmtree(place, ignore_errors=True)
        self.grants.clear(identifier)
        cgroup = f"{cgroup_parent or self._settings.cgroup_parent}/{identifier}"
        if not remove_cgroup(cgroup) and end_cgroup(cgroup):
            remove_cgroup(cgroup)

    def cgroup(self, container: Container) -> str:
        """The path of the container's cgroup below each hierarchy's root."""
        parent = container.spec.cgroup_parent or self._settings.cgroup_parent
        return f"/{parent.strip('/')}/{container.id}"

    def apparmor_profile(self, container: Container) -> str:
        """The profile that confines the running container, "" for none."""
        try:
            process = read_process(self.bundle(container).config)
        except OSError:
            return ""
        return str(process.get("apparmorProfile", ""))

    async def forget(self, identifier: str) -> None:
        """Nothing, once the container's own files are gone too."""
        await to_thread.run_sync(lambda: shutil.rmtree(self.files(identifier), ignore_errors=True))


def _knowing_the_socket(container: Container, socket_name: str) -> Container:
    """The container with the variable by which Docker's clients find the engine."""
    variables = {"DOCKER_HOST": f"unix://{_SOCKET_PLACE}/{socket_name}"}
    spec = replace(container.spec, environment={**variables, **container.spec.environment})
    return replace(container, spec=spec)
