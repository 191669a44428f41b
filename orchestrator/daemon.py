"""The engine process: builds every object, opens the root task group, serves until told to end.

Starting is recovering: there is no other way to start. Ending leaves the containers as they are.
"""

from __future__ import annotations

import fcntl
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import structlog
from anyio import to_thread

from orchestrator.aio.clock import open_clock
from orchestrator.aio.lasting import Background, lasting
from orchestrator.api.listeners import check_listeners, served
from orchestrator.api.parts import Parts
from orchestrator.api.server import application
from orchestrator.controller.controller import Controller
from orchestrator.controller.execute import Nouns
from orchestrator.controller.turn import started_in_order
from orchestrator.engine.builds import Builds
from orchestrator.engine.commit import Commits
from orchestrator.engine.connections import Connections
from orchestrator.engine.container_files import ContainerFiles
from orchestrator.engine.container_records import ContainerRecords
from orchestrator.engine.container_roots import ContainerRoots
from orchestrator.engine.containers import Containers
from orchestrator.engine.disk_usage import DiskUsage
from orchestrator.engine.events import Events
from orchestrator.engine.execs import Execs
from orchestrator.engine.grants import Grants
from orchestrator.engine.hooks import Hooks
from orchestrator.engine.image_archives import ImageArchives
from orchestrator.engine.image_verify import ImageVerifier
from orchestrator.engine.images import Images
from orchestrator.engine.launch import Launcher
from orchestrator.engine.networks import open_networks
from orchestrator.engine.recovery import Recovery
from orchestrator.engine.transfers import Transfers
from orchestrator.engine.volumes import Volumes
from orchestrator.errors import Conflict, Denied, PystackError
from orchestrator.images.content import ContentStore
from orchestrator.runtime.apparmor import load_profile
from orchestrator.runtime.cgroups import Layout, layout
from orchestrator.runtime.choose import choose_runtime
from orchestrator.runtime.endings import end_calls
from orchestrator.runtime.machine import machine_is_stopping
from orchestrator.runtime.namespaces import enter_private_mounts
from orchestrator.settings import Settings, load_settings
from orchestrator.state.database import Database, open_database
from orchestrator.state.times import latest_time


def main() -> int:
    """The exit code of the engine process: 0 when told to end, 1 when it could not start."""
    try:
        settings = load_settings()
        check_listeners(settings)
        if os.geteuid() != 0:
            raise Denied(
                "the engine needs root: it makes mounts, networks and cgroups",
                code="not-root",
                about="engine",
                hint="start it with sudo",
            )
        for directory in (settings.data_dir, settings.run_dir, settings.log_file.parent):
            directory.mkdir(parents=True, exist_ok=True, mode=0o711)
        with _alone(settings.run_dir / "engine.lock") as killed:
            _log_to(settings.log_file)
            _allow_descriptors()
            cgroup_layout = layout()
            outside = enter_private_mounts(cgroup_layout == "hybrid")
            if killed:
                # Its calls of the runtime may still do something, at a time when nobody knows.
                end_calls(settings.run_dir / "runtime")
            with open_database(settings.data_dir / "state.db") as database:
                anyio.run(_serve, settings, database, cgroup_layout, outside)
    except PystackError as error:
        sys.stderr.write(f"error: {error.message}\n  {error.hint}\n")
        return 1
    except BaseExceptionGroup as group:
        ours = group.subgroup(PystackError)
        structlog.get_logger().exception("engine failed")
        first: BaseException = ours or group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        hint = first.hint if isinstance(first, PystackError) else ""
        sys.stderr.write(f"error: {first}\n  {hint}\n")
        return 1
    return 0


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """The right to be the one engine of this place, while the block lasts (flock(2)); and whether
    the one before was killed."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                "an engine is running here already",
                code="engine-running",
                about=str(path),
                hint="`pystack engine status` tells; `pystack engine stop` ends it",
            ) from None
        killed = os.fstat(descriptor).st_size > 0
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield killed
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _allow_descriptors() -> None:
    """As many open files as may be: a container takes three of the engine's, and a login shell
    allows 1024 until it is asked for more. Containers do not inherit it, theirs is always set.

    Source: getrlimit(2).
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _log_to(path: Path) -> None:
    """JSON lines in the file; on a terminal a person's form as well."""
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    if sys.stderr.isatty():
        shared.append(_on_terminal)
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _on_terminal(_logger: Any, _method: str, event: Any) -> Any:
    details = " ".join(f"{k}={v}" for k, v in event.items() if k not in ("event", "timestamp"))
    sys.stderr.write(f"{event.get('timestamp', '')} {event.get('event', '')} {details}\n")
    return event


async def _serve(
    settings: Settings, database: Database, cgroup_layout: Layout, outside: int
) -> None:
    began = time.monotonic()
    log = structlog.get_logger()
    events = Events(database.events)
    clock = open_clock(settings.data_dir / "clock", partial(latest_time, database))
    runtime = await choose_runtime(settings)
    if problem := await load_profile():
        log.warning("containers run without AppArmor", problem=problem)
    store = ContentStore(settings.data_dir / "content", settings.max_layer_entries)
    images = Images(database, store, settings, events.emit)
    volumes = Volumes(database, settings, events)
    limiter = anyio.CapacityLimiter(settings.max_parallel or 2 * (os.cpu_count() or 1))
    async with open_networks(database, settings, events.emit) as networks:
        grants = Grants(settings, database)
        launcher = Launcher(
            settings, database, runtime, images, networks, volumes, grants, limiter, outside
        )
        builds = Builds(database, images, store, runtime, networks, settings, events.emit)
        async with anyio.create_task_group() as root:
            tasks = Background(root)
            database.empty_log_by(partial(tasks.start_soon, to_thread.run_sync))
            records = ContainerRecords(database, events)
            records.watchers.append(networks.observe)
            execs = Execs(records, launcher, runtime, settings.run_dir / "execs", tasks)
            roots = ContainerRoots(records, images, launcher, settings.run_dir / "roots")
            commits = Commits(
                records,
                roots,
                images,
                store,
                runtime,
                settings.run_dir / "commits",
                settings.max_layer_bytes,
            )
            in_order = partial(started_in_order, database)
            containers = Containers(
                records,
                runtime,
                images,
                networks,
                volumes,
                launcher,
                Hooks(execs),
                tasks,
                settings.log_max_bytes,
                in_order,
                clock.now,
            )
            recovery = Recovery(
                records, containers, runtime, networks, volumes, launcher, tasks, in_order
            )
            nouns = Nouns(
                containers=containers,
                images=images,
                networks=networks,
                connections=Connections(records, networks),
                volumes=volumes,
                builds=builds,
                grants=grants,
            )
            controller = Controller(
                database, nouns, events, tasks, settings.kept_revisions, clock.now
            )
            parts = Parts(
                settings=settings,
                clock=clock,
                nouns=nouns,
                controller=controller,
                events=events,
                launcher=launcher,
                archives=ImageArchives(images, store, settings),
                verifier=ImageVerifier(database, images, store, settings),
                disk=DiskUsage(images, containers, volumes, builds.storage, launcher.files),
                execs=execs,
                files=ContainerFiles(records, images, roots),
                commits=commits,
                grants=grants,
                transfers=Transfers(images, store, settings, events.emit),
                runtime=runtime,
                cgroup_layout=cgroup_layout,
                shutdown=lambda: os.kill(os.getpid(), signal.SIGTERM),
            )
            await builds.recover()
            await images.recover()
            # First, or a container that was held still would count as paused.
            await commits.recover()
            # Before the containers, which may run hooks at once: those are execs too.
            await execs.recover()
            await recovery.run()
            tasks.start_soon(lasting, networks.watch, "networks")
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async with served(application(parts), settings):
                    controller.resume()
                    took_ms = round((time.monotonic() - began) * 1000)
                    log.info("engine ready", runtime=runtime.name, took_ms=took_ms)
                    async for _ in signals:
                        break
                log.info("engine ending")
                if await machine_is_stopping():
                    log.info("the machine goes down, and the containers with it")
                    await containers.end_with_machine()
            launcher.give_up_all()
            root.cancel_scope.cancel()
        if not any(c.running for c in database.containers):
            await networks.leave()


if __name__ == "__main__":
    sys.exit(main())
