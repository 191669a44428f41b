"""What becomes of containers when two things are asked at once; launching is a value here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup

from orchestrator.aio.lasting import Background
from orchestrator.engine.container_records import ContainerRecords
from orchestrator.engine.containers import Containers
from orchestrator.engine.events import Events
from orchestrator.errors import Failed, PystackError
from orchestrator.model.container import ContainerSpec, Hook, RestartPolicy
from orchestrator.model.observed import Container, ProbeResult, State, Status
from orchestrator.runtime.paths import Bundle
from orchestrator.state.database import Database, open_database

pytestmark = pytest.mark.anyio
RUNNING = State(status="running", pid=2**22 + 5, pid_started=1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class FakeLauncher:
    """Launches nothing: `begun` is set when it is asked to, and it goes on when `go` is."""

    place: Path
    begun: anyio.Event = field(default_factory=anyio.Event)
    go: anyio.Event = field(default_factory=anyio.Event)
    error: PystackError | None = None
    landed: list[str] = field(default_factory=list)
    lands: bool = True

    async def launch(
        self, container: Container, created: Callable[[str], Awaitable[None]]
    ) -> tuple[int, int]:
        self.begun.set()
        await self.go.wait()
        if self.error is not None:
            raise self.error
        await created(container.id)
        (self.place / container.id).write_text("0")
        return RUNNING.pid, RUNNING.pid_started

    def give_up(self, _identifier: str) -> None:
        """It goes on all the same."""

    async def land(self, container: Container) -> None:
        (self.place / container.id).unlink(missing_ok=True)
        if not self.lands:
            raise Failed("killed", code="killed", about=container.id, hint="")
        self.landed.append(container.id)

    def bundle(self, container: Container) -> Bundle:
        return Bundle(
            id=container.id, path=self.place, rootfs=self.place, log_path=self.place / "log",
            exit_dir=self.place,
        )  # fmt: skip

    async def forget(self, identifier: str) -> None:
        """It has no files."""


class NoNetworks:
    """Networks, and a runtime, that have nothing to do."""

    def release(self, _container: Container) -> None:
        return None

    async def withdraw(self, _container: Container) -> None:
        return None


class NoImages:
    """Images of which there are none."""

    def find(self, _identifier: str) -> None:
        return None

    async def release(self, _identifier: str) -> None:
        return None


class NoVolumes:
    """Volumes of which there are none."""

    async def remove_anonymous(self, _container: Container) -> None:
        return None

    def tell_mounts(self, _what: str, _container: Container) -> None:
        return None


@dataclass
class FakeHooks:
    """Hooks that are one function."""

    does: Callable[[Container], None]

    async def tried(self, container: Container, *_: object) -> None:
        self.does(container)


class Scene:
    """Containers on records of their own."""

    def __init__(self, place: Path, database: Database, tasks: TaskGroup) -> None:
        self.database = database
        self.tasks = tasks
        self.records = ContainerRecords(database, Events(database.events))
        self.launcher = FakeLauncher(place)
        self.hooks = FakeHooks(lambda _: None)
        images: Any = NoImages()
        networks: Any = NoNetworks()
        volumes: Any = NoVolumes()
        launcher: Any = self.launcher
        hooks: Any = self.hooks
        self.containers = Containers(
            self.records, networks, images, networks, volumes, launcher, hooks, Background(tasks), 0
        )

    def have(
        self, state: State | Status = "created", *, auto_remove: bool = False, **spec: Any
    ) -> Container:
        (self.launcher.place / ("c" * 64)).write_text("0")
        made = ContainerSpec(image="a", **spec)
        state = state if isinstance(state, State) else State(status=state)
        return self.records.put(
            Container(
                id="c" * 64,
                name="one",
                spec=made,
                image_id="i",
                created_at=1,
                state=state,
                auto_remove=auto_remove,
            )
        )


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    with open_database(tmp_path / "state.db") as database, anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            yield Scene(tmp_path, database, tasks)
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize("state", ["created", "exited", "restarting"])
async def test_a_stop_that_meets_a_start_ends_what_was_started(scene: Scene, state: Status) -> None:
    one = scene.have(state, restart=RestartPolicy(name="always"))
    stopped = anyio.Event()

    async def stop() -> None:
        await scene.containers.stop(one.id, 0)
        stopped.set()

    if state == "restarting":
        scene.containers.watch(one)
    else:
        scene.tasks.start_soon(scene.containers.start, one.id)
    await scene.launcher.begun.wait()
    scene.tasks.start_soon(stop)
    await anyio.wait_all_tasks_blocked()
    assert not stopped.is_set(), "the start is under way"
    # It starts, as a process that is none, whose supervisor sees at once that it has ended.
    scene.launcher.go.set()
    await stopped.wait()
    assert scene.records.get(one.id).state.status == "exited"
    assert scene.launcher.landed == [one.id]


async def test_one_that_was_restarting_and_cannot_be_started_is_not_said_to_be_restarting(
    scene: Scene,
) -> None:
    one = scene.have("restarting", restart=RestartPolicy(name="always"))
    scene.launcher.error = Failed("no", code="refused", about="one", hint="")
    scene.launcher.go.set()
    with pytest.raises(Failed):
        await scene.containers.start(one.id)
    assert scene.records.get(one.id).state.status == "exited"


async def test_one_that_is_gone_after_its_pre_stop_hook_is_stopped(scene: Scene) -> None:
    one = scene.have(RUNNING, pre_stop=(Hook(command=("end",)),))
    scene.hooks.does = lambda container: scene.records.delete(container.id)
    await scene.containers.stop(one.id)
    assert scene.records.find(one.id) is None


async def test_an_unhealthy_container_is_asked_to_end_once(scene: Scene) -> None:
    one = scene.have(RUNNING, restart=RestartPolicy(name="always", unhealthy=True), stop_grace_s=60)
    result = ProbeResult(started_at=1, ended_at=2, exit_code=1, output="")
    for streak in (3, 4, 5):
        scene.containers.report_health(one.id, "unhealthy", streak, result)
    await anyio.wait_all_tasks_blocked()
    told = [e.action for e in scene.database.events.between(0, 1e12)]
    assert told == ["health_status: unhealthy", "kill"]
    scene.records.delete(one.id)
    await anyio.wait_all_tasks_blocked()


async def test_who_left_before_the_start_does_not_hold_it_up(scene: Scene) -> None:
    one = scene.have()
    streams = scene.containers.streams
    bundle = scene.launcher.bundle(one)

    async def wait() -> None:
        async with streams.attached(one.id, bundle):
            raise AssertionError("it was not started")

    async with anyio.create_task_group() as client:
        client.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        client.cancel_scope.cancel()
    with anyio.fail_after(0.5):
        await streams.let_attach(one.id)


async def test_who_waits_for_the_streams_of_a_container_that_goes_gets_none(scene: Scene) -> None:
    one = scene.have()
    async with anyio.create_task_group() as client:

        async def remove() -> None:
            await anyio.wait_all_tasks_blocked()
            await scene.containers.remove(one.id)

        client.start_soon(remove)
        async with scene.containers.streams.attached(one.id, scene.launcher.bundle(one)) as got:
            assert got is None


async def test_one_that_would_remove_itself_outlives_its_restart(scene: Scene) -> None:
    one = scene.have(RUNNING, auto_remove=True)
    scene.containers.watch(one)
    scene.launcher.go.set()
    await scene.containers.restart(one.id, 0)
    # What is started here ends at once, and goes then.
    await scene.records.changes.until(lambda: scene.records.find(one.id) is None or None)
    told = [e.action for e in scene.database.events.between(0, 1e12)]
    assert told.index("die") < told.index("start") < told.index("destroy")


async def test_an_exit_code_outlives_a_kill_amid_the_taking_down(scene: Scene) -> None:
    one = scene.have(RUNNING)
    (scene.launcher.place / one.id).write_text("7")
    scene.launcher.lands = False
    with pytest.raises(Failed):
        await scene.containers.found_dead(one.id)
    assert scene.records.get(one.id).running
    scene.launcher.lands = True
    await scene.containers.found_dead(one.id)
    ended = scene.records.get(one.id).state
    assert (ended.status, ended.exit_code, ended.error) == ("exited", 7, "")
