"""Operations on containers, and the supervision of those that run.

The only writer of container records. A record says what is wanted of a container before it is
done, so that a killed engine's successor (recovery) can finish or undo it.
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial

import anyio
import structlog
from anyio import to_thread

from orchestrator.aio.lasting import Tasks, lasting
from orchestrator.aio.patience import after, shielded_for
from orchestrator.engine.adjust import Adjustments
from orchestrator.engine.admission import admit
from orchestrator.engine.connections import Connections
from orchestrator.engine.container_records import ContainerRecords, name_taken, not_running
from orchestrator.engine.hooks import Hooks
from orchestrator.engine.images import Images
from orchestrator.engine.launch import HANGS_AFTER_S, Launcher
from orchestrator.engine.live import LiveChanges
from orchestrator.engine.mount_plan import planned_mounts
from orchestrator.engine.networks import Networks
from orchestrator.engine.probes import Probes
from orchestrator.engine.streams import Streams
from orchestrator.engine.volumes import Volumes
from orchestrator.engine.waiting import ended, met
from orchestrator.errors import Conflict, PystackError
from orchestrator.model.container import ContainerSpec
from orchestrator.model.exposed import published_ports
from orchestrator.model.ids import new_id
from orchestrator.model.observed import Container, Health, ProbeResult
from orchestrator.model.process import check_command
from orchestrator.model.signals import parse_signal
from orchestrator.runtime.driver import Runtime
from orchestrator.runtime.host import read_host
from orchestrator.runtime.kernel_limits import missing_limits
from orchestrator.runtime.paths import Bundle
from orchestrator.runtime.process import read_exit_code, send_signal, was_oom_killed
from orchestrator.runtime.security import check_security
from orchestrator.supervisor.restart import next_restart, settled_s
from orchestrator.supervisor.rotation import keep_rotated, rotation_of
from orchestrator.supervisor.supervise import Reports, supervise
from orchestrator.volumes.mounts import check_source

_KILLED = 137
# After so many restarts in a row it is told that a container does not come up.
_CRASH_LOOP = 3
# What hooks may take where a policy started the container, and nobody waits for them.
_HOOKS_AGAIN_S = 300.0


class Containers:
    """Every container of this engine; `tasks` is where the supervisors live.

    `now` is the clock of their times, which must not jump.
    One that was found dead is started again by its policy, but for those that `in_order` is true
    of: they are `due`, and whoever keeps their order starts them.
    """

    def __init__(
        self,
        records: ContainerRecords,
        runtime: Runtime,
        images: Images,
        networks: Networks,
        volumes: Volumes,
        launcher: Launcher,
        hooks: Hooks,
        tasks: Tasks,
        log_max_bytes: int,
        in_order: Callable[[Container], bool] = lambda _: False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._now = now
        self._log_max_bytes = log_max_bytes
        self._in_order = in_order
        self._found_dead: set[str] = set()
        self._ailing: set[str] = set()
        self._closing = False
        self._records = records
        self._runtime = runtime
        self._images = images
        self._networks = networks
        self._volumes = volumes
        self._launcher = launcher
        self._hooks = hooks
        self._tasks = tasks
        self._supervisors: dict[str, anyio.CancelScope] = {}
        self._probes = Probes(records, images, runtime, now)
        self.streams = Streams(records, tasks)
        self.adjust = Adjustments(records, runtime, networks)
        connections = Connections(records, networks)
        self.live = LiveChanges(records, self.adjust, connections, launcher, runtime)
        self.changes = records.changes

    # -- finding ---------------------------------------------------------------------------

    def all(self) -> list[Container]:
        """Every container, the newest first."""
        return self._records.all()

    def labelled(self, label: str, value: str) -> list[Container]:
        """The containers whose label has that value, by name."""
        return self._records.labelled(label, value)

    def get(self, reference: str) -> Container:
        """The container with this name, id, or unique beginning of an id.

        Raises: NotFound; InvalidInput: several ids begin so.
        """
        return self._records.get(reference)

    # -- making and removing ---------------------------------------------------------------

    async def create(
        self,
        spec: ContainerSpec,
        name: str,
        *,
        auto_remove: bool = False,
        kept_volumes: Mapping[str, str] | None = None,
        image_id: str = "",
    ) -> Container:
        """A new container, made but not started.

        `kept_volumes` maps mount targets to anonymous volumes of the container it replaces;
        `image_id` is the image where it is not what the specification's name means now.
        Raises: NotFound: no such image or network; Conflict: the name or a port is taken.
        """
        image = self._images.get(image_id or spec.image)
        if (other := self._records.named(name)) is not None:
            raise name_taken(name, other)
        check_command(spec, image.config)
        check_security(spec)
        self.admit(spec, auto_remove=auto_remove)
        if spec.network_mode == "host" and not spec.hostname:
            spec = replace(spec, hostname=socket.gethostname())
        wanted = planned_mounts(spec, image, container=self.get, found=self._images.get)
        for mount in wanted:
            check_source(mount)
        draft = Container(
            id=new_id(), name=name, spec=spec, image_id=image.id, created_at=self._now(),
            auto_remove=auto_remove,
        )  # fmt: skip
        endpoints = self._networks.lease(draft, spec.attachments)
        draft = replace(draft, endpoints=endpoints)
        asked = replace(spec, ports=published_ports(spec, image.config))
        # With another one's network or none there is nothing to publish.
        free = not spec.network_mode
        ports = self._networks.choose_ports(replace(draft, spec=asked)) if free else ()
        mounts = self._volumes.named(wanted, kept_volumes or {})
        draft = replace(draft, ports=ports, mounts=mounts)
        # The record goes in before the next await, so nobody else is given the same lease.
        container = self._records.put(draft)
        try:
            await self._volumes.make(wanted, mounts)
        except BaseException:
            # A client that has left will not ask for it again, whose name would stay taken.
            with anyio.CancelScope(shield=True):
                await self.discard(container.id, volumes=True)
            raise
        self._records.tell("create", container)
        return container

    def admit(self, spec: ContainerSpec, *, auto_remove: bool = False) -> tuple[str, ...]:
        """What such a container would do without on this machine, as sentences.

        Raises: NotFound: no such image; InvalidInput: it asks for what there is not.
        """
        return admit(
            spec,
            self._images.get(spec.image).config,
            read_host(),
            lacking=missing_limits(),
            runtimes=self._runtime.names,
            auto_remove=auto_remove,
        )

    async def remove(self, reference: str, *, force: bool = False, volumes: bool = False) -> None:
        """Nothing, once the container, its files and its anonymous volumes (`volumes`) are gone.

        Raises: NotFound; Conflict: it runs, unless force.
        """
        container = self.get(reference)
        if container.running and not force:
            raise Conflict(
                f"container {container.name} is running",
                code="container-running",
                about=container.name,
                hint=f"stop it first (`pystack stop {container.name}`), or remove with -f",
            )
        async with self._at_rest(container.id):
            if self._records.find(container.id) is None:
                return
            with anyio.CancelScope(shield=True):
                await self.discard(container.id, volumes=volumes)

    async def discard(self, identifier: str, *, volumes: bool) -> None:
        """Nothing, once the container is gone, running or not; its lock is the caller's."""
        self._end_supervision(identifier)
        ran = self.get(identifier).running
        volumes = volumes or self.get(identifier).state.volumes_too
        container = self._records.change(
            identifier, status="removing", stopped_by_user=True, volumes_too=volumes
        )
        await self._launcher.land(container)
        if ran:
            self._records.tell("kill", container, {"signal": str(int(signal.SIGKILL))})
            self._tell_end(container, _KILLED)
        await self._launcher.forget(identifier)
        if volumes or container.auto_remove:
            await self._volumes.remove_anonymous(container)
        self._networks.release(container)
        self._records.delete(identifier)
        self.streams.gone(identifier)
        self._records.tell("destroy", container)
        self.changes.ring()
        await self._images.release(container.image_id)

    # -- starting and stopping -------------------------------------------------------------

    async def start(self, reference: str) -> Container:
        """The container, running; one that runs already is left alone.

        Raises: NotFound; Failed: the runtime refused; Conflict: a port is taken; Unavailable: the
        runtime hangs.
        """
        identifier = self.get(reference).id
        async with self._records.lock(identifier):
            container = self.get(identifier)
            if container.running:
                return container
            self._end_supervision(identifier)
            # One that is due is started by its policy, only in its turn.
            count = container.state.restart_count if container.state.due else 0
            container = self._records.change(identifier, stopped_by_user=False, restart_count=count)
            try:
                with shielded_for(HANGS_AFTER_S):
                    container = await self._start(container)
            except BaseException:
                if container.auto_remove:
                    with anyio.CancelScope(shield=True):
                        await self.discard(container.id, volumes=True)
                elif container.state.status == "restarting":
                    # Whoever would have started it again has just been ended.
                    self._records.change(identifier, status="exited")
                raise
            self.watch(container)
        if container.spec.post_start:
            try:
                await self._hooks.run(container, container.spec.post_start, "post_start")
            except PystackError:
                await self.stop(identifier)
                raise
        return container

    async def _start(self, container: Container) -> Container:
        checked = self._probes.check_of(container)
        # Its ports are published before it runs, and must not be taken for ready until it is.
        health: Health = "starting" if checked else "none"
        container = replace(container, state=replace(container.state, health=health))
        try:
            joined = tuple(self.get(name).id for name in _joined_names(container.spec))
            pid, started = await self._launcher.launch(container, self.streams.let_attach)
        except PystackError as error:
            code = {"command-not-found": 127, "command-not-executable": 126}.get(error.code, 128)
            # Whoever keeps it as it is wanted is to see that it was not started.
            due = container.state.status == "exited"
            self._records.change(container.id, exit_code=code, error=error.message, due=due)
            raise
        container = self._records.change(
            container.id, status="running", pid=pid, pid_started=started, exit_code=0, error="",
            oom_killed=False, started_at=self._now(), health=health,
            failing_streak=0, health_log=(), again=False, due=False, joined=joined,
        )  # fmt: skip
        self._volumes.tell_mounts("mount", container)
        self._records.tell("start", container)
        return container

    async def stop(
        self, reference: str, grace_s: float | None = None, signal_name: str = ""
    ) -> None:
        """Nothing, once the container has ended: asked by its stop signal or the one given, then
        killed after `grace_s` seconds (its own grace where None; never where negative).

        Raises: NotFound; InvalidInput: no such signal.
        """
        container = self._records.change(self.get(reference).id, again=False)
        await self._stop(container.id, grace_s, signal_name)

    async def _stop(self, identifier: str, grace_s: float | None, signal_name: str) -> None:
        number = parse_signal(signal_name) if signal_name else 0
        container = self._records.change(identifier, stopped_by_user=True)
        if not container.running:
            # A start that is under way is let through first: it would outlive this.
            async with self._at_rest(identifier):
                if self._records.find(identifier) is None:
                    return
                container = self._records.change(identifier, stopped_by_user=True, due=False)
                if not container.running:
                    if container.state.status == "restarting":
                        self._end_supervision(identifier)
                        self._records.change(identifier, status="exited")
                    return
        wait_s = container.spec.stop_grace_s if grace_s is None else grace_s
        if container.spec.pre_stop and container.state.status == "running":
            patience_s = max(wait_s, container.spec.stop_grace_s)
            await self._hooks.tried(container, container.spec.pre_stop, "pre_stop", patience_s)
            if self._records.find(identifier) is None:
                return  # it ended by its hook, and was to be removed then
        await self._ask_to_end(container, number or self._stop_signal(container), wait_s)
        if (now := self._records.find(identifier)) is not None:
            self._records.tell("stop", now)

    @asynccontextmanager
    async def _at_rest(self, identifier: str) -> AsyncGenerator[None]:
        """The container's lock, while the block lasts; a start that hangs is given up for it."""
        lock = self._records.lock(identifier)
        with after(HANGS_AFTER_S, partial(self._launcher.give_up, identifier)):
            await lock.acquire()
        try:
            yield
        finally:
            lock.release()

    async def _ask_to_end(self, container: Container, number: int, wait_s: float) -> None:
        await self._signal(container, number)
        with anyio.move_on_after(None if wait_s < 0 else wait_s):
            await self.wait(container.id)
        now = self._records.find(container.id)
        if now is not None and now.running and now.state.pid == container.state.pid:
            await self._signal(now, signal.SIGKILL)
            await self.wait(container.id)

    async def end_with_machine(self) -> None:
        """Nothing, once every container has ended in its own time, or been killed after its grace,
        because the machine goes down: whose policy wants it up is started by the next engine."""
        self._closing = True
        async with anyio.create_task_group() as ending:
            for container in self._records.all():
                if container.running:
                    ending.start_soon(self._end_with_machine, container)

    async def _end_with_machine(self, container: Container) -> None:
        grace_s = container.spec.stop_grace_s
        with suppress(PystackError):
            await self._ask_to_end(container, self._stop_signal(container), grace_s)

    async def restart(
        self, reference: str, grace_s: float | None = None, signal_name: str = ""
    ) -> None:
        """Nothing, once the container was stopped and runs again.  Raises: as stop and start."""
        await self._start_anew(self.get(reference).id, grace_s, signal_name)

    async def _start_anew(
        self,
        identifier: str,
        grace_s: float | None = None,
        signal_name: str = "",
        spec: ContainerSpec | None = None,
    ) -> None:
        """Nothing, once the container was stopped, took over `spec`, and runs again."""
        self._records.change(identifier, again=True)
        try:
            await self._stop(identifier, grace_s, signal_name)
            if spec is not None:
                await self.live.take_over(identifier, spec)
            self._records.tell("restart", await self.start(identifier))
        except Exception:
            if self._records.find(identifier) is not None:
                self._records.change(identifier, again=False)
            raise

    async def rename(self, reference: str, name: str) -> None:
        """Nothing, once the container has the other name.  Raises: NotFound; Conflict: taken."""
        await self.adjust.rename(reference, name)

    async def take_over(self, reference: str, spec: ContainerSpec) -> None:
        """Nothing, once the container, as it runs, is what `spec` says.

        Only attributes that can change while a container runs may differ.
        Raises: NotFound; Conflict: a port is taken; Failed: the kernel refused a limit.
        """
        identifier = self.get(reference).id
        if self.live.asks_for_restart(identifier, spec):
            # The rest first, as it may be refused. The files are other ones on record only when
            # the container has ended, so that a kill in between leaves them to be changed.
            now = self.get(identifier).spec
            await self.live.take_over(identifier, replace(spec, files=now.files))
            await self._start_anew(identifier, spec=spec)
            return
        await self.live.take_over(identifier, spec)
        async with self._records.lock(identifier):
            container = self.get(identifier)
            if container.running:
                # Its health, its policy and its log are watched by the new specification.
                self._end_supervision(identifier)
                self.watch(container)

    async def kill(self, reference: str, name: str = "KILL") -> None:
        """Nothing, once the signal is sent.

        Raises: InvalidInput: no such signal; Conflict: the container does not run.
        """
        container = self.get(reference)
        number = parse_signal(name)
        if not container.running:
            raise not_running(container)
        if number == signal.SIGKILL:
            self._records.change(container.id, stopped_by_user=True)
        await self._signal(container, number)

    async def _signal(self, container: Container, number: int) -> None:
        await self.adjust.thaw(container)
        # Not by the runtime: that is a process more, which some distributions confine.
        send_signal(container.state.pid, container.state.pid_started, number)
        self._records.tell("kill", container, {"signal": str(int(number))})

    async def wait(self, reference: str) -> int:
        """The exit code, once the container does not run (at once where it does not)."""
        return await ended(self._records, self.get(reference).id)

    async def wait_for(self, reference: str, condition: str) -> int:
        """The exit code at Docker's wait conditions: `not-running`, `next-exit`, `removed`.

        Raises: NotFound.
        """
        return await met(self._records, self.get(reference).id, condition)

    # -- supervision -----------------------------------------------------------------------

    def watch(self, container: Container) -> None:
        """Nothing; the container has a supervisor, which starts it first where it is restarting."""
        scope = anyio.CancelScope()
        self._supervisors[container.id] = scope
        self._tasks.start_soon(
            self._supervised, container, scope, name=f"container {container.name}"
        )

    async def _supervised(self, container: Container, scope: anyio.CancelScope) -> None:
        reports = Reports(
            healthcheck=self._probes.check_of(container),
            probe=self._probes.probe,
            health=self.report_health,
            exited=self._exited,
            restart=self._restart,
            rotate=self._rotate,
            now=self._now,
        )

        async def watch() -> None:
            if (now := self._records.find(container.id)) is not None:
                await supervise(now, reports)

        with scope:
            await lasting(watch, f"container {container.name}")
        if self._supervisors.get(container.id) is scope:
            del self._supervisors[container.id]

    def report_health(
        self, identifier: str, health: Health, streak: int, result: ProbeResult
    ) -> None:
        """Nothing; the health is recorded, and one that is ill is ended if its policy wants it."""
        self._probes.report(identifier, health, streak, result)
        container = self._records.find(identifier)
        if health != "unhealthy" or container is None or not container.spec.restart.unhealthy:
            return
        if identifier not in self._ailing:  # many take a second signal for haste
            self._ailing.add(identifier)
            self._tasks.start_soon(self._end_ailing, container)

    async def _end_ailing(self, container: Container) -> None:
        """Nothing, once the unhealthy container has ended; its policy says what then."""
        try:
            await self._ask_to_end(
                container, self._stop_signal(container), container.spec.stop_grace_s
            )
        except PystackError as error:
            structlog.get_logger().warning(
                "unhealthy, and not ended", container=container.name, error=str(error)
            )
        finally:
            self._ailing.discard(container.id)

    def _end_supervision(self, identifier: str) -> None:
        if (scope := self._supervisors.pop(identifier, None)) is not None:
            scope.cancel()

    async def found_dead(self, identifier: str) -> None:
        """Nothing, once the end of a container that ended while no engine ran is on record."""
        self._found_dead.add(identifier)
        await self._exited(identifier)

    async def _exited(self, identifier: str) -> float | None:
        """The seconds until the ended container is to be started again, None for never."""
        delay: float | None = None
        async with self._records.lock(identifier):
            container = self._records.find(identifier)
            if container is not None and container.running:
                with anyio.CancelScope(shield=True):
                    delay = await self._end(container)
        return delay

    async def _end(self, container: Container) -> float | None:
        bundle = self._launcher.bundle(container)
        # First of all nobody is to be sent there any more: others may share its ports.
        await self._networks.withdraw(container)
        code, oom, now = await self._how_it_ended(container, bundle)
        await self._launcher.land(container)
        # Read again: a stop may have been asked for while the container was taken down.
        state = self.get(container.id).state
        ran_for = now - state.started_at
        policy = container.spec.restart
        attempts = 0 if ran_for >= settled_s(policy) else state.restart_count
        exit_code = _KILLED if code is None else code
        # One that was ended for being unhealthy has failed, whatever it says itself.
        failed = exit_code or int(policy.unhealthy and state.health == "unhealthy")
        delay = next_restart(
            policy,
            exit_code=failed,
            ran_for_s=ran_for,
            attempts=attempts,
            stopped_by_user=state.stopped_by_user,
        )
        again = delay is not None
        due = again and container.id in self._found_dead and self._in_order(container)
        self._found_dead.discard(container.id)
        if due:
            delay = None
        container = self._records.change(
            container.id, status="exited" if delay is None else "restarting", pid=0, pid_started=0,
            due=due,
            exit_code=exit_code, oom_killed=oom, finished_at=now, health="none",
            restart_count=attempts + int(again),
            error="" if code is not None else "the exit code was lost",
        )  # fmt: skip
        if oom:
            self._records.tell("oom", container)
        self._tell_end(container, exit_code)
        if delay is not None and container.state.restart_count == _CRASH_LOOP:
            said = {"exitCode": str(exit_code), "restarts": str(_CRASH_LOOP)}
            self._records.tell("crash-loop", container, said)
        if delay is None and container.auto_remove and not state.again:
            await self.discard(container.id, volumes=True)
        return delay

    async def _how_it_ended(
        self, container: Container, bundle: Bundle
    ) -> tuple[int | None, bool, float]:
        """The exit code, None where it is lost; whether memory ran out; and when it ended.

        All on record before the files go that say so: a kill in between must lose nothing.
        """
        state = container.state
        if state.finished_at > state.started_at:
            return state.exit_code, state.oom_killed, state.finished_at
        code = await read_exit_code(bundle.exit_dir, container.id, 5.0)
        oom, now = await to_thread.run_sync(was_oom_killed, bundle), self._now()
        if code is not None:
            self._records.change(container.id, exit_code=code, oom_killed=oom, finished_at=now)
        return code, oom, now

    def _tell_end(self, container: Container, exit_code: int) -> None:
        lasted_s = max(0, int(self._now() - container.state.started_at))
        self._records.tell(
            "die", container, {"exitCode": str(exit_code), "execDuration": str(lasted_s)}
        )
        self._volumes.tell_mounts("unmount", container)

    async def _restart(self, identifier: str) -> Container | None:
        """The container running again; None where it is wanted no more."""
        if self._closing:
            return None
        async with self._records.lock(identifier):
            container = self._records.find(identifier)
            if container is not None and container.state.status == "restarting":
                with shielded_for(HANGS_AFTER_S):
                    container = await self._start(container)
        if container is None or not container.running:
            return None
        if hooks := container.spec.post_start:
            self._tasks.start_soon(
                self._hooks.tried, container, hooks, "post_start", _HOOKS_AGAIN_S
            )
        return container

    async def _rotate(self, container: Container) -> None:
        bundle = self._launcher.bundle(container)
        rotation = rotation_of(container.spec.log_options, self._log_max_bytes)
        await keep_rotated(bundle.log_path, bundle.control, rotation)

    def _stop_signal(self, container: Container) -> int:
        image = self._images.find(container.image_id)
        of_image = image.config.stop_signal if image else ""
        return parse_signal(container.spec.stop_signal or of_image or "TERM")


def _joined_names(spec: ContainerSpec) -> list[str]:
    """The names or ids of the containers whose namespaces such a one shares."""
    modes = (spec.network_mode, spec.pid_mode, spec.ipc_mode)
    return [m.removeprefix("container:") for m in modes if m.startswith("container:")]
