"""What a new engine does with the containers that the last one left, killed at any instruction."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import anyio
import structlog
from anyio import to_thread

from orchestrator.aio.lasting import Tasks, logged
from orchestrator.engine.container_records import ContainerRecords
from orchestrator.engine.containers import Containers
from orchestrator.engine.launch import Launcher
from orchestrator.engine.networks import Networks
from orchestrator.engine.volumes import Volumes
from orchestrator.errors import PystackError
from orchestrator.model.observed import Container
from orchestrator.runtime.driver import Runtime
from orchestrator.runtime.process import alive
from orchestrator.supervisor.restart import starts_with_engine


class Recovery:
    """Adopts containers. One whose owner keeps an order (`in_order`) is started by that one."""

    def __init__(
        self,
        records: ContainerRecords,
        containers: Containers,
        runtime: Runtime,
        networks: Networks,
        volumes: Volumes,
        launcher: Launcher,
        tasks: Tasks,
        in_order: Callable[[Container], bool],
    ) -> None:
        self._records = records
        self._containers = containers
        self._runtime = runtime
        self._networks = networks
        self._volumes = volumes
        self._launcher = launcher
        self._tasks = tasks
        self._in_order = in_order

    async def run(self) -> None:
        """Nothing, once every container that runs is adopted, every one that ended meanwhile has
        its exit code and its policy's answer, and what was half done is finished or undone.

        What goes wrong with one container is logged, and leaves the others alone.
        """
        running: list[Container] = []
        dead: list[str] = []
        async with anyio.create_task_group() as settling:
            for container in self._records.all():
                if not container.running:
                    settle = partial(self._settle, container)
                    settling.start_soon(logged, settle, f"settling {container.name}")
                elif alive(container.state.pid, container.state.pid_started):
                    running.append(await self._containers.adjust.settled(container))
                else:
                    dead.append(container.id)
        await self._networks.restore(running)
        await logged(
            partial(self._sweep, {c.id for c in self._records.all()}), "sweeping containers"
        )
        # Nobody is to be told of a container that it runs when it does not.
        async with anyio.create_task_group() as ends:
            for identifier in dead:
                ends.start_soon(logged, partial(self._containers.found_dead, identifier), "an end")
        at_boot = self._launcher.first_since_boot()
        for container in self._records.all():
            status = container.state.status
            again = status == "restarting" or (status == "exited" and container.state.again)
            if again and self._in_order(container):
                self._records.change(container.id, status="exited", due=True, again=False)
            elif container.running or status == "restarting":
                self._containers.watch(container)
            elif again or (at_boot and self._starts_at_boot(container)):
                # On record first: an engine after this one would take this boot for an old one.
                self._containers.watch(
                    self._records.change(
                        container.id,
                        status="restarting",
                        stopped_by_user=False,
                        restart_count=0,
                        again=False,
                    )
                )
            if container.running and container.state.stopped_by_user:
                self._tasks.start_soon(self._finish_stop, container)
        if at_boot:
            self._launcher.note_boot()

    def _starts_at_boot(self, container: Container) -> bool:
        """Whether a person stopped it before the machine did, and its policy is always: for the
        others the policy was asked when they were found dead."""
        stopped = container.state.status == "exited" and container.state.stopped_by_user
        wanted = starts_with_engine(container.spec.restart, stopped_by_user=True)
        return stopped and wanted and not self._in_order(container)

    async def _finish_stop(self, container: Container) -> None:
        """What the last engine had begun: it asked the container to end, and did not see it."""
        containers = self._containers
        try:
            await (containers.restart if container.state.again else containers.stop)(container.id)
        except PystackError as error:
            structlog.get_logger().warning(
                "not stopped", container=container.name, error=str(error)
            )

    async def _settle(self, container: Container) -> None:
        status = container.state.status
        abandoned = container.auto_remove and status != "restarting"
        if status == "removing":
            await self._containers.discard(container.id, volumes=False)
        elif abandoned or (status == "created" and self._volumes.lacking(container)):
            # Whoever waited to start it, or to see it end, went with the last engine.
            await self._containers.discard(container.id, volumes=True)
        elif self._launcher.place(container.id).exists():
            await self._launcher.land(container)

    async def _sweep(self, known: set[str]) -> None:
        """Directories of containers without a record: those whose removal was nearly done."""
        for parent in (self._launcher.files("x").parent, self._launcher.place("x").parent):
            names = os.listdir(parent) if parent.is_dir() else []  # noqa: PTH208
            for name in set(names) - known:
                await self._launcher.forget(name)
                await self._runtime.delete(name, force=True)
                await self._launcher.unwatch(name)
                await to_thread.run_sync(self._launcher.clear, name)
