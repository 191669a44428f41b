"""The logs of real containers: followed while conmon writes them, rotated under its hands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import anyio
import pytest

from orchestrator.runtime.choose import choose_runtime
from orchestrator.settings import Settings
from orchestrator.supervisor.logs import follow, read_tail
from orchestrator.supervisor.rotation import Rotation, keep_rotated, rotate
from tests.support.containers import Place, make_root, without_unified_hierarchy


@pytest.fixture(autouse=True)
def crun_works() -> Iterator[None]:
    with without_unified_hierarchy():
        yield


@pytest.fixture
async def place(tmp_path: Path, cgroup_parent: str) -> Place:
    settings = Settings(
        data_dir=tmp_path / "data",
        run_dir=tmp_path / "run",
        socket=tmp_path / "socket",
        log_file=tmp_path / "log",
        cgroup_parent=cgroup_parent,
    )
    root = make_root(tmp_path / "root")
    return Place(await choose_runtime(settings), tmp_path, root, cgroup_parent)


async def test_lines_are_followed_from_the_first_to_the_last(place: Place) -> None:
    stop = anyio.Event()
    seen: list[str] = []
    async with place.created("sh", "-c", "for i in 1 2 3; do echo $i; done") as container:

        async def watch() -> None:
            async with aclosing(follow(container.bundle.log_path, stop=stop)) as lines:
                async for line in lines:
                    seen.append(line.text.decode())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await place.runtime.start(container.id)
            await container.ended()
            stop.set()
    assert seen == ["1", "2", "3"]


async def test_no_line_is_lost_while_the_log_is_rotated(place: Place) -> None:
    # It pauses now and then, so that whoever reads, and rotates, is not left behind for good.
    script = (
        "i=0; while [ $i -lt 5000 ]; do echo $i; i=$((i+1));"
        " [ $((i % 500)) != 0 ] || sleep 0.05; done; read x"
    )
    stop = anyio.Event()
    seen: list[int] = []
    async with place.created("sh", "-c", script, stdin_open=True) as container:
        log, control = container.bundle.log_path, container.bundle.control
        rotation = Rotation(max_bytes=20_000, files=50)

        async def watch() -> None:
            async with aclosing(follow(log, stop=stop)) as lines:
                async for line in lines:
                    seen.append(int(line.text))
                    # Not before conmon has opened the one after the last: told twice, it would
                    # open two, and what it wrote to the first be gone.
                    if len(seen) % 400 == 0 and log.exists():
                        rotate(log, control, rotation)
                    if len(seen) == 5000:
                        stop.set()

        await place.runtime.start(container.id)
        with anyio.fail_after(30):
            await watch()
        assert seen == list(range(5000))
        assert len(list(log.parent.iterdir())) > 2
        assert [int(line.text) for line in read_tail(log)] == seen


async def test_a_busy_log_stays_within_its_bounds(place: Place) -> None:
    async with place.running("sh", "-c", "yes 0123456789 | head -n 200000; sleep 600") as container:
        log, control = container.bundle.log_path, container.bundle.control
        rotation = Rotation(max_bytes=1 << 20, files=2)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keep_rotated, log, control, rotation)
            with anyio.fail_after(20):
                async with aclosing(follow(log, lines=0)) as lines:
                    async for line in lines:
                        if log.with_name(f"{log.name}.1").exists():
                            assert line.text == b"0123456789"
                            break
            tasks.cancel_scope.cancel()
        assert len(list(log.parent.iterdir())) <= 2


async def test_output_without_a_newline_is_the_last_line(place: Place) -> None:
    async with place.running("sh", "-c", "echo one; printf two") as container:
        await container.ended()
        last = list(read_tail(container.bundle.log_path))[-1]
        assert (last.text, last.partial) == (b"two", True)


async def test_a_long_line_is_one_line(place: Place) -> None:
    async with place.running(
        "sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; echo"
    ) as container:
        await container.ended()
        (line,) = read_tail(container.bundle.log_path)
        assert (len(line.text), line.partial) == (100000, False)
