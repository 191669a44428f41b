"""Operations on execs: more commands in running containers.

Each is held by a conmon of its own, so it goes on without the engine; the next engine finds it in
the run-time directory. Records are files there, as an exec does not outlive the machine's run.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread

from orchestrator.aio.lasting import Tasks
from orchestrator.engine.container_records import ContainerRecords
from orchestrator.engine.exec_records import ExecRecords
from orchestrator.engine.launch import Launcher
from orchestrator.errors import Conflict, InvalidInput, PystackError
from orchestrator.model.exec import Exec, ExecSpec
from orchestrator.model.ids import new_id
from orchestrator.model.observed import Container
from orchestrator.runtime.attach import Attachment, attach, resize
from orchestrator.runtime.bundle import exec_process, read_process
from orchestrator.runtime.driver import Runtime
from orchestrator.runtime.endings import end_monitor
from orchestrator.runtime.execs import attached_exec, detached_exec
from orchestrator.runtime.paths import Bundle
from orchestrator.runtime.process import (
    alive,
    pid_start_time,
    read_exit_code,
    wait_exit,
    wait_monitor,
)
from orchestrator.runtime.user import resolve_user

_KILLED = 137
_EXIT_CODES = {"command-not-found": 127}
_NOT_EXECUTABLE = 126


class Execs:
    """Every exec of this engine; `tasks` is where they are watched, `place` has their files."""

    def __init__(
        self,
        records: ContainerRecords,
        launcher: Launcher,
        runtime: Runtime,
        place: Path,
        tasks: Tasks,
    ) -> None:
        self._containers = records
        self._launcher = launcher
        self._runtime = runtime
        self._records = ExecRecords(place)
        self._tasks = tasks
        # Unlimited, many at once would hold up everything else.
        self._limiter = anyio.CapacityLimiter(2 * (os.cpu_count() or 1))

    def get(self, identifier: str) -> Exec:
        """The exec with this id.  Raises: NotFound."""
        return self._records.get(identifier)

    def of(self, container_id: str) -> list[str]:
        """The ids of the container's execs that have not ended."""
        return [
            e.id for e in self._records if e.container_id == container_id and e.exit_code is None
        ]

    async def create(self, reference: str, spec: ExecSpec) -> Exec:
        """A new exec in the container, not started.

        Raises: NotFound; Conflict: the container does not run; InvalidInput: no command.
        """
        container = self._running(reference)
        if not spec.command:
            raise InvalidInput(
                "no exec command specified",
                code="no-command",
                about=container.name,
                hint="give the command and its arguments",
            )
        await self._forget_old()
        made = Exec(id=new_id(), container_id=container.id, spec=spec, created_at=time.time())
        self._records.put(made)
        self._tell("exec_create", made, container)
        return made

    @asynccontextmanager
    async def started(self, identifier: str) -> AsyncGenerator[Attachment]:
        """The streams of the exec, started now, from its first byte.

        Leaving the block leaves it running.
        Raises: Conflict: it was started before, or its container does not run; Failed: it cannot
        be executed, and has ended then.
        """
        begun, bundle, process = await self._prepared(identifier)
        try:
            async with AsyncExitStack() as stack:
                async with self._limiter:
                    session = await stack.enter_async_context(
                        attached_exec(self._runtime, bundle, process)
                    )
                self._watch(begun, session.pid)
                yield session.streams
        except PystackError as error:
            self._refused(begun, error)
            raise

    async def start(self, identifier: str) -> None:
        """Nothing; the exec was started in the background.  Raises: as `started`."""
        begun, bundle, process = await self._prepared(identifier)
        try:
            async with self._limiter:
                pid = await detached_exec(self._runtime, bundle, process)
        except PystackError as error:
            self._refused(begun, error)
            raise
        self._watch(begun, pid)

    @asynccontextmanager
    async def joined(self, identifier: str) -> AsyncGenerator[Attachment]:
        """The streams of an exec that runs, from now on.  Raises: Conflict: it does not run."""
        found = self.get(identifier)
        async with attach(self._bundle_of(found).attach_dir) as streams:
            yield streams

    async def ended(self, identifier: str) -> Exec:
        """The exec, once it has ended."""

        def over() -> Exec | None:
            found = self.get(identifier)
            return None if found.exit_code is None else found

        return await self._records.changes.until(over)

    def set_size(self, identifier: str, *, rows: int, columns: int) -> None:
        """Nothing; the terminal it is to be started with has that size."""
        found = self.get(identifier)
        self._records.put(replace(found, spec=replace(found.spec, console_size=(rows, columns))))

    def resize(self, identifier: str, *, rows: int, columns: int) -> None:
        """Nothing; its terminal has that size.  Raises: Conflict: it does not run."""
        self.check_running(identifier)
        found = self.get(identifier)
        resize(self._bundle_of(found).attach_dir, rows=rows, columns=columns)

    async def recover(self) -> None:
        """Nothing, once every exec that a killed engine left is known again, or forgotten."""
        async with anyio.create_task_group() as adopting:
            for name in await to_thread.run_sync(self._records.names):
                adopting.start_soon(self._recover, name)

    def check_startable(self, identifier: str) -> None:
        """Nothing, where it may be started.  Raises: Conflict."""
        found = self.get(identifier)
        if found.started_at:
            raise Conflict(
                f"exec command {identifier} has already run",
                code="exec-already-run",
                about=identifier,
                hint="make a new one",
            )
        self._running(found.container_id)

    def check_running(self, identifier: str) -> None:
        """Nothing, where it runs.  Raises: Conflict."""
        if not (found := self.get(identifier)).running:
            raise _not_running(found)

    # -- within ----------------------------------------------------------------------------

    def _running(self, reference: str) -> Container:
        container = self._containers.get(reference)
        if container.state.status != "running":
            status = container.state.status
            what, hint = ("not running", f"start it with `pystack start {container.name}`")
            if status in ("paused", "restarting"):
                what = status
                hint = "unpause it first" if status == "paused" else "wait until it runs"
            raise Conflict(
                f"container {container.name} is {what}",
                code=f"container-{what.replace(' ', '-')}",
                about=container.name,
                hint=hint,
            )
        return container

    def _bundle_of(self, found: Exec) -> Bundle:
        place = self._records.directory(found.id)
        return Bundle(
            id=found.container_id,
            path=place,
            rootfs=self._launcher.place(found.container_id) / "merged",
            log_path=place / "log",
            exit_dir=place / "exit",
            terminal=found.spec.tty,
            stdin=found.spec.stdin,
            # A terminal's input and output are one: it would lose both.
            stdin_once=found.spec.stdin and not found.spec.tty,
        )

    async def _prepared(self, identifier: str) -> tuple[Exec, Bundle, dict[str, Any]]:
        self.check_startable(identifier)
        found = self.get(identifier)
        container = self._running(found.container_id)
        begun = self._records.put(replace(found, started_at=time.time()))
        bundle = self._bundle_of(begun)
        try:
            process = await to_thread.run_sync(self._process, container, begun, bundle)
        except PystackError as error:
            self._refused(begun, error)
            raise
        self._tell("exec_start", begun, container)
        return begun, bundle, process

    def _process(self, container: Container, begun: Exec, bundle: Bundle) -> dict[str, Any]:
        """Its OCI process, once it is on record that it is to be started."""
        spec, user = begun.spec, None
        if spec.user:
            user = resolve_user(bundle.rootfs, spec.user, container.spec.group_add)
        process = exec_process(
            read_process(self._launcher.bundle(container).config),
            spec.command,
            env=[entry for entry in spec.environment if "=" in entry],
            user=user,
            cwd=spec.working_dir,
            terminal=spec.tty,
            privileged=spec.privileged,
        )
        unwanted = {entry for entry in spec.environment if "=" not in entry}
        process["env"] = [e for e in process["env"] if e.partition("=")[0] not in unwanted]
        if spec.tty and all(spec.console_size):
            rows, columns = spec.console_size
            process["consoleSize"] = {"height": rows, "width": columns}
        self._records.write(begun)
        return process

    def _watch(self, begun: Exec, pid: int) -> None:
        running = self._records.put(replace(begun, pid=pid, pid_started=pid_start_time(pid)))
        self._tasks.start_soon(self._watched, running, name=f"exec {running.id}")

    async def _watched(self, running: Exec) -> None:
        bundle = self._bundle_of(running)
        await wait_exit(running.pid, running.pid_started)
        code = await read_exit_code(bundle.exit_dir, running.container_id, 5.0)
        await self._over(running, _KILLED if code is None else code)

    async def _over(self, running: Exec, exit_code: int) -> None:
        over = self._records.put(replace(running, exit_code=exit_code, ended_at=time.time(), pid=0))
        if (container := self._containers.find(over.container_id)) is not None:
            more = {"exitCode": str(exit_code)}
            self._tell("exec_die", over, container, more)
        await to_thread.run_sync(self._records.write, over)
        await wait_monitor(self._bundle_of(over))
        await to_thread.run_sync(self._records.tidy, over.id)

    def _refused(self, begun: Exec, error: PystackError) -> None:
        if self.get(begun.id).pid:
            return
        code = _EXIT_CODES.get(error.code, _NOT_EXECUTABLE)
        self._records.put(replace(begun, exit_code=code, ended_at=time.time(), error=error.message))

    def _tell(
        self, action: str, found: Exec, container: Container, more: dict[str, str] | None = None
    ) -> None:
        if action != "exec_die":
            action = f"{action}: {' '.join(found.spec.command)}"
        self._containers.tell(action, container, {"execID": found.id, **(more or {})})

    async def _recover(self, name: str) -> None:
        if not await self._adopted(name):
            await to_thread.run_sync(self._records.discard, name)

    async def _adopted(self, name: str) -> bool:
        found = await to_thread.run_sync(self._records.read, name)
        if found is None or self._containers.find(found.container_id) is None:
            return False
        if found.exit_code is not None:
            self._records.put(found)
            return True
        found = replace(found, adopted=True)
        bundle = self._bundle_of(found)
        monitored = not await wait_monitor(bundle, 0.0)
        pid = _pid_in(bundle.pid_file)
        if monitored and pid and alive(pid, pid_start_time(pid)):
            self._watch(found, pid)
            return True
        # One that has no process yet was being made, and may hang.
        patience_s = (5.0 if pid else 1.0) if monitored else 0.0
        code = await read_exit_code(bundle.exit_dir, found.container_id, patience_s)
        if code is None and not pid:
            # It had not begun, and nobody waits for it: its runtime may hang.
            await to_thread.run_sync(end_monitor, bundle)
            return False
        await self._over(found, _KILLED if code is None else code)
        return True

    async def _forget_old(self) -> None:
        old = self._records.old(lambda container: self._containers.find(container) is not None)
        for identifier in old:
            self._records.forget(identifier)
        for identifier in old:
            await to_thread.run_sync(self._records.discard, identifier)


def _pid_in(file: Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0


def _not_running(found: Exec) -> Conflict:
    return Conflict(
        f"exec {found.id} is not running",
        code="exec-not-running",
        about=found.id,
        hint="it has ended, or was not started",
    )
