"""One RUN: a process in a root, confined as every container's, its output told line by line."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import anyio
from anyio import to_thread

from orchestrator.aio.process import run_process
from orchestrator.build.foreign import runs_here
from orchestrator.build.operations import RunOperation
from orchestrator.build.output import Lines
from orchestrator.build.runmounts import Ready
from orchestrator.build.runnetwork import RunNetworks
from orchestrator.build.stubs import note_stubs
from orchestrator.build.transfer import make_directory
from orchestrator.build.workspace import Workspace
from orchestrator.errors import Failed
from orchestrator.model.container import ContainerSpec, Mount, Resources, Ulimit
from orchestrator.model.image import ImageConfig
from orchestrator.model.observed import Container
from orchestrator.runtime.bundle import oci_config
from orchestrator.runtime.cgroups import processes, remove_cgroup
from orchestrator.runtime.driver import Runtime
from orchestrator.runtime.messages import failure
from orchestrator.runtime.user import resolve_user

_HOSTNAME = "build"
_UNDO_S = 60.0
_KILL_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """What the build asks of every RUN's surroundings."""

    network: str = ""
    shm_size_bytes: int = 64 << 20
    ulimits: tuple[Ulimit, ...] = ()
    foreign: str = ""  # the stage's platform, where it is not this machine's


@dataclass(frozen=True, slots=True)
class Ended:
    """How a RUN ended: its exit code and its last lines."""

    exit_code: int
    last_lines: tuple[str, ...]


class Runner:
    """Runs RUN operations: each is a child of this process, and ends with it."""

    def __init__(self, runtime: Runtime, cgroup_parent: str) -> None:
        self._runtime = runtime
        self._cgroup_parent = cgroup_parent

    async def run(
        self,
        workspace: Workspace,
        operation: RunOperation,
        ready: Ready,
        sandbox: Sandbox,
        networks: RunNetworks,
        emit: Callable[[str], None],
    ) -> Ended:
        """How the process ended; emit is called with every line it writes.

        Raises: Failed: it cannot be started. A cancelled run is killed.
        """
        mode = operation.network if operation.network != "default" else sandbox.network
        container = _container(workspace, operation, ready, sandbox, mode)
        try:
            async with networks.lent(mode) as network:
                await networks.write_files(workspace.place / "files", network)
                namespaces = {"network": network.namespace}
                await to_thread.run_sync(
                    self._prepare, workspace, operation, container, ready.mounts, namespaces
                )
                ended = await self._process(workspace, emit)
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
                await self.clear(workspace.id)

    async def clear(self, identifier: str) -> None:
        """Nothing, once no process and no cgroup of a RUN is left."""
        await self._runtime.delete(identifier, force=True)
        await to_thread.run_sync(_empty_cgroup, f"{self._cgroup_parent}/{identifier}")

    async def _process(self, workspace: Workspace, emit: Callable[[str], None]) -> Ended:
        program = self._runtime.program(workspace.id)
        problems = workspace.place / "problems"
        lines = Lines(emit)
        command = [program.path, *program.arguments, "--log", str(problems)]
        command += ["run", "--bundle", str(workspace.place / "bundle"), workspace.id]
        done = await run_process(command, output=lines.feed)
        lines.finish()
        said = problems.read_text(errors="replace").strip() if problems.exists() else ""
        if done.exit_code and said:
            raise failure(said, workspace.id, "run")
        return Ended(done.exit_code, tuple(lines.last))

    def _prepare(
        self,
        workspace: Workspace,
        operation: RunOperation,
        container: Container,
        mounts: Sequence[tuple[Mount, str]],
        namespaces: Mapping[str, str],
    ) -> None:
        make_directory(workspace.root, operation.working_dir)
        files = workspace.place / "files"
        (files / "hostname").unlink(missing_ok=True)
        if operation.script is not None:
            script = workspace.place / "script"
            script.write_text(operation.script.content, errors="surrogateescape")
            script.chmod(0o755)
            target = f"/dev/pipes/{operation.script.name}"
            mount = Mount(kind="bind", target=target, read_only=True, recursive="disabled")
            mounts = [*mounts, (mount, str(script))]
        config: dict[str, Any] = oci_config(
            container,
            ImageConfig(),
            user=resolve_user(workspace.root, operation.user),
            mounts=mounts,
            files=files,
            rootfs=workspace.root,
            cgroups_path=f"/{self._cgroup_parent}/{container.id}",
            namespaces=namespaces,
        )
        workspace.stubs = note_stubs(
            workspace.root, [mount["destination"] for mount in config["mounts"]]
        )
        bundle = workspace.place / "bundle"
        bundle.mkdir(mode=0o700, parents=True, exist_ok=True)
        (bundle / "config.json").write_bytes(json.dumps(config).encode())


def _empty_cgroup(path: str) -> None:
    """Nothing, once the cgroup is gone, with whatever was in it: a runtime that was killed early
    has no record of the container by which it could be deleted."""
    deadline = time.monotonic() + _KILL_S
    while not remove_cgroup(path) and time.monotonic() < deadline:
        for pid in processes(path):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def _foreign(operation: RunOperation, platform: str) -> Failed:
    return Failed(
        f"{operation.where}: {operation.text}: this machine cannot run programs for {platform}",
        code="platform-not-runnable",
        about=platform,
        hint="run it in a stage with FROM --platform=$BUILDPLATFORM, or install qemu-user-static",
    )


def _container(
    workspace: Workspace, operation: RunOperation, ready: Ready, sandbox: Sandbox, mode: str
) -> Container:
    pairs = (entry.partition("=") for entry in operation.environment)
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
        network_mode=mode,
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
