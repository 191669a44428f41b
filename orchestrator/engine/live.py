"""Making a running container what another specification says, without ending it."""

from __future__ import annotations

from dataclasses import replace

import structlog

from orchestrator.engine.adjust import Adjustments
from orchestrator.engine.connections import Connections
from orchestrator.engine.container_records import ContainerRecords
from orchestrator.engine.grants import changed_files
from orchestrator.engine.launch import Launcher
from orchestrator.model.container import ContainerSpec, GrantedFile
from orchestrator.model.observed import Container
from orchestrator.model.signals import parse_signal
from orchestrator.runtime.driver import Runtime

_EXEC_S = 60.0


class LiveChanges:
    """Takes over what can change while a container runs.

    Each step is recorded when it is done, so that an engine that comes after a kill finds what is
    left of the difference and goes on with that.
    """

    def __init__(
        self,
        records: ContainerRecords,
        adjust: Adjustments,
        connections: Connections,
        launcher: Launcher,
        runtime: Runtime,
    ) -> None:
        self._records = records
        self._adjust = adjust
        self._connections = connections
        self._launcher = launcher
        self._runtime = runtime

    def asks_for_restart(self, identifier: str, spec: ContainerSpec) -> bool:
        """Whether the container runs, and a file that is another one in `spec` wants it restarted.

        Raises: NotFound.
        """
        container = self._records.get(identifier)
        changed = changed_files(container.spec.files, spec.files)
        return container.running and any(file.on_change == "restart" for file in changed)

    async def take_over(self, identifier: str, spec: ContainerSpec) -> None:
        """Nothing, once the container has the limits, ports and files of `spec`, and is recorded
        as being it; where it runs, it was told of the files before.

        Raises: NotFound; Conflict: a port is taken; Failed: the kernel refused a limit.
        """
        before = self._records.get(identifier).spec
        if spec.resources != before.resources:
            async with self._records.lock(identifier):
                container = self._records.get(identifier)
                await self._adjust.limit(container, replace(before, resources=spec.resources))
                now = self._records.get(identifier)
                self._records.put(replace(now, spec=replace(now.spec, resources=spec.resources)))
        if spec.ports != before.ports:
            await self._connections.republish(identifier, spec.ports)
        async with self._records.lock(identifier):
            container = self._records.get(identifier)
            if container.running and spec.files != before.files:
                for file in await self._launcher.grants.swap(container, spec.files):
                    await self._react(container, file)
            # Last: what is on record as done is not done again by an engine after a kill.
            container = self._records.put(replace(self._records.get(identifier), spec=spec))
        self._records.changes.ring()
        self._records.tell("update", container)

    async def _react(self, container: Container, file: GrantedFile) -> None:
        """Nothing, once the container knows that a file of its is another."""
        kind, _, what = file.on_change.partition(":")
        if kind == "signal":
            await self._runtime.kill(container.id, parse_signal(what))
        elif kind == "exec":
            argv = ("/bin/sh", "-c", what)
            done = await self._runtime.exec(container.id, argv, timeout_s=_EXEC_S)
            if done.exit_code:
                said = (done.stdout + done.stderr)[-1000:].decode(errors="replace").strip()
                structlog.get_logger().warning(
                    "on_change failed", container=container.name, file=file.source,
                    exit_code=done.exit_code, said=said,
                )  # fmt: skip
