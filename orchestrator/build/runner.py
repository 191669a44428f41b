"""One RUN: a process in a root, confined as every container's, its output told line by line."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import anyio
from anyio import to_thread

from orchestrator.build.foreign import runs_here
from orchestrator.build.operations import RunOperation
from orchestrator.build.output import Lines
from orchestrator.build.runmounts import Ready
from orchestrator.build.stubs import note_stubs
from orchestrator.build.transfer import make_directory
from orchestrator.build.workspace import Workspace
from orchestrator.errors import Failed
from orchestrator.model.container import ContainerSpec, Mount, Resources, Ulimit
from orchestrator.model.image import ImageConfig
from orchestrator.model.observed import Container
from orchestrator.runtime.attach import attach
from orchestrator.runtime.bundle import Bundle, oci_config, write_bundle
from orchestrator.runtime.cgroups import remove_cgroup
from orchestrator.runtime.driver import Runtime
from orchestrator.runtime.process import pid_start_time, read_exit_code, wait_exit
from orchestrator.runtime.user import resolve_user

_HOSTNAME = "build"
_EXIT_CODE_S = 10.0
_UNDO_S = 60.0


class BuildNetwork(Protocol):
    """The network as a RUN sees it."""

    async def leased(self, container: Container) -> Container:
        """The container with its place on the network."""

    async def write_files(self, directory: Path, container: Container) -> None:
        """Nothing, once hosts and resolv.conf are there."""

    async def connect(self, container: Container, pid: int) -> None:
        """Nothing, once the process has its interfaces."""

    async def withdraw(self, container: Container) -> None:
        """Nothing, once its place is free again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """What the build asks of every RUN's surroundings."""

    network: str = ""
    extra_hosts: tuple[str, ...] = ()
    shm_size_bytes: int = 64 << 20
    ulimits: tuple[Ulimit, ...] = ()
    foreign: str = ""  # the stage's platform, where it is not this machine's


@dataclass(frozen=True, slots=True)
class Ended:
    """How a RUN ended: its exit code and its last lines."""

    exit_code: int
    last_lines: tuple[str, ...]


class Runner:
    """Runs RUN operations."""

    def __init__(self, runtime: Runtime, network: BuildNetwork, cgroup_parent: str) -> None:
        self._runtime = runtime
        self._network = network
        self._cgroup_parent = cgroup_parent

    async def run(
        self,
        workspace: Workspace,
        operation: RunOperation,
        ready: Ready,
        sandbox: Sandbox,
        emit: Callable[[str], None],
    ) -> Ended:
        """How the process ended; emit is called with every line it writes.

        Raises: Failed: it cannot be started. A cancelled run is killed.
        """
        container = await self._network.leased(_container(workspace, operation, ready, sandbox))
        bundle = Bundle(
            id=workspace.id,
            path=workspace.place / "bundle",
            rootfs=workspace.root,
            log_path=workspace.place / "log",
            exit_dir=workspace.place / "exit",
            log_driver="none",
        )
        try:
            files = workspace.place / "files"
            await self._network.write_files(files, container)
            await to_thread.run_sync(
                self._prepare, workspace, operation, container, ready.mounts, files, bundle
            )
            ended = await self._process(container, bundle, emit)
            if ended.exit_code and sandbox.foreign:
                program = operation.arguments[0]
                if not await to_thread.run_sync(runs_here, workspace.root, program):
                    raise _foreign(operation, sandbox.foreign)
            return ended
        except Failed as error:
            if sandbox.foreign and "exec format" in error.message.lower():
                raise _foreign(operation, sandbox.foreign) from error
            raise
        finally:
            with anyio.move_on_after(_UNDO_S, shield=True):
                await self._network.withdraw(container)
                await self.clear(workspace.id)

    async def clear(self, identifier: str) -> None:
        """Nothing, once no process and no cgroup of a RUN is left."""
        await self._runtime.delete(identifier, force=True)
        await to_thread.run_sync(remove_cgroup, f"{self._cgroup_parent}/{identifier}")

    async def _process(
        self, container: Container, bundle: Bundle, emit: Callable[[str], None]
    ) -> Ended:
        lines = Lines(emit)
        pid = await self._runtime.create(bundle)
        started = pid_start_time(pid)
        await self._network.connect(container, pid)
        async with attach(bundle.attach_dir) as streams:
            await self._runtime.start(container.id)
            async for _, data in streams.output():
                lines.feed(data)
        lines.finish()
        await wait_exit(pid, started)
        deadline = anyio.current_time() + _EXIT_CODE_S
        code = await read_exit_code(bundle.exit_dir, container.id, deadline)
        return Ended(255 if code is None else code, tuple(lines.last))

    def _prepare(
        self,
        workspace: Workspace,
        operation: RunOperation,
        container: Container,
        mounts: Sequence[tuple[Mount, str]],
        files: Path,
        bundle: Bundle,
    ) -> None:
        make_directory(workspace.root, operation.working_dir)
        (files / "hostname").unlink(missing_ok=True)
        if operation.script is not None:
            script = workspace.place / "script"
            script.write_text(operation.script.content, errors="surrogateescape")
            script.chmod(0o755)
            target = f"/dev/pipes/{operation.script.name}"
            mount = Mount(kind="bind", target=target, read_only=True, recursive="disabled")
            mounts = [*mounts, (mount, str(script))]
        mode = container.spec.network_mode
        config: dict[str, Any] = oci_config(
            container,
            ImageConfig(),
            user=resolve_user(workspace.root, operation.user),
            mounts=mounts,
            files=files,
            rootfs=workspace.root,
            cgroups_path=f"/{self._cgroup_parent}/{container.id}",
            namespaces={"network": ""} if mode == "host" else {},
        )
        workspace.stubs = note_stubs(
            workspace.root, [mount["destination"] for mount in config["mounts"]]
        )
        write_bundle(bundle, config)


def _foreign(operation: RunOperation, platform: str) -> Failed:
    return Failed(
        f"{operation.where}: {operation.text}: this machine cannot run programs for {platform}",
        code="platform-not-runnable",
        about=platform,
        hint="run it in a stage with FROM --platform=$BUILDPLATFORM, or install qemu-user-static",
    )


def _container(
    workspace: Workspace, operation: RunOperation, ready: Ready, sandbox: Sandbox
) -> Container:
    pairs = (entry.partition("=") for entry in operation.environment)
    network = operation.network if operation.network != "default" else sandbox.network
    spec = ContainerSpec(
        image="",
        entrypoint=(),
        command=operation.arguments,
        environment={
            **operation.proxies,
            **{name: value for name, _, value in pairs},
            **ready.environment,
        },
        user=operation.user,
        working_dir=operation.working_dir,
        hostname=_HOSTNAME,
        network_mode=network,
        extra_hosts=sandbox.extra_hosts,
        resources=Resources(ulimits=sandbox.ulimits),
    )
    if sandbox.shm_size_bytes:
        spec = replace(spec, shm_size_bytes=sandbox.shm_size_bytes)
    return Container(
        id=workspace.id,
        name=f"build-{workspace.id[:12]}",
        spec=spec,
        image_id="",
        created_at=time.time(),
    )
