"""Talking to containers and to commands in them: attach, terminals, exec sessions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from orchestrator.errors import Conflict, Failed
from orchestrator.runtime.attach import Attachment, attach, resize
from orchestrator.runtime.bundle import Bundle, exec_process, read_process
from orchestrator.runtime.choose import choose_runtime
from orchestrator.runtime.execs import attached_exec, detached_exec
from orchestrator.runtime.process import pid_start_time, read_exit_code, wait_exit, wait_monitor
from orchestrator.settings import Settings
from tests.support.containers import Place, Running, make_root, without_unified_hierarchy
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def crun_works() -> Iterator[None]:
    with without_unified_hierarchy():
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_root(tmp_path_factory.mktemp("root") / "r")


@pytest.fixture(params=["crun", "runc"])
async def place(
    request: pytest.FixtureRequest, tmp_path: Path, root: Path, cgroup_parent: str
) -> Place:
    # Deep, because a socket's address has at most 107 bytes and paths here may be longer.
    run_dir = tmp_path / ("long" * 20) / "run"
    settings = Settings(
        data_dir=tmp_path / "data",
        run_dir=run_dir,
        socket=tmp_path / "socket",
        log_file=tmp_path / "log",
        runtime=request.param,
        cgroup_parent=cgroup_parent,
    )
    return Place(await choose_runtime(settings), tmp_path, root, cgroup_parent)


async def read_all(streams: Attachment) -> dict[int, bytes]:
    """Everything from each stream until the end."""
    found = {1: b"", 2: b""}
    with anyio.fail_after(15):
        async for stream, data in streams.output():
            found[stream] += data
    return found


async def read_until(streams: Attachment, wanted: bytes) -> bytes:
    """What comes up to `wanted` and a little more."""
    found = b""
    with anyio.fail_after(15):
        async for _, data in streams.output():
            found += data
            if wanted in found:
                return found
    raise AssertionError(f"the stream ended with {found!r}")


async def test_attached_before_the_start_nothing_is_missed(place: Place) -> None:
    async with (
        place.created("sh", "-c", "echo out; echo err >&2; exit 4") as container,
        attach(container.bundle.attach_dir) as streams,
    ):
        await place.runtime.start(container.id)
        assert await read_all(streams) == {1: b"out\n", 2: b"err\n"}
        assert await container.ended() == 4


async def test_stdin_arrives_and_its_end_too(place: Place) -> None:
    data = b"".join(b"line %d\n" % n for n in range(20000))
    async with (
        place.created("sh", "-c", "cat | wc -c", stdin_open=True, stdin_once=True) as container,
        attach(container.bundle.attach_dir) as streams,
    ):
        await place.runtime.start(container.id)
        assert await streams.write(data)
        streams.end_input()
        assert (await read_all(streams))[1].strip() == str(len(data)).encode()


async def test_an_open_stdin_survives_whoever_was_attached(place: Place) -> None:
    async with place.running("sh", "-c", "read a; read b; echo $a$b", stdin_open=True) as container:
        async with attach(container.bundle.attach_dir) as streams:
            await streams.write(b"one\n")
        async with attach(container.bundle.attach_dir) as streams:
            await streams.write(b"two\n")
            assert (await read_all(streams))[1] == b"onetwo\n"


def sockets(bundle: Bundle) -> int:
    """How many conmon has open: each client that it has accepted adds one; pipes come and go."""
    monitor = bundle.conmon_pid_file.read_text()
    found = 0
    for descriptor in Path(f"/proc/{monitor}/fd").iterdir():
        with suppress(FileNotFoundError):
            found += str(descriptor.readlink()).startswith("socket:")
    return found


async def test_several_may_watch(place: Place) -> None:
    async with place.created("echo", "hello") as container:
        before = sockets(container.bundle)
        async with (
            attach(container.bundle.attach_dir) as first,
            attach(container.bundle.attach_dir) as second,
        ):
            # conmon accepts one in each turn, and what is written then is not told the next.
            await to_thread.run_sync(
                lambda: wait_until(
                    lambda: sockets(container.bundle) == before + 2, "both are accepted"
                )
            )
            await place.runtime.start(container.id)
            assert [(await read_all(s))[1] for s in (first, second)] == [b"hello\n"] * 2


async def test_a_terminal_echoes_and_can_be_resized(place: Place) -> None:
    async with (
        place.created("sh", tty=True, stdin_open=True) as container,
        attach(container.bundle.attach_dir) as streams,
    ):
        await place.runtime.start(container.id)
        await streams.write(b"test -t 0 && echo ter''minal\n")
        await read_until(streams, b"terminal\r\n")
        assert resize(container.bundle.attach_dir, rows=33, columns=77)
        await streams.write(b"stty size\n")
        await read_until(streams, b"33 77\r\n")
        await streams.write(b"exit 6\n")
        assert await container.ended() == 6


async def test_attaching_to_what_does_not_run_is_a_conflict(place: Place) -> None:
    async with place.running("true") as container:
        await container.ended()
        assert await wait_monitor(container.bundle)
        with pytest.raises(Conflict):
            async with attach(container.bundle.attach_dir):
                pass
        assert not resize(container.bundle.attach_dir, rows=1, columns=1)


def exec_bundle(container: Running, name: str, **more: bool) -> Bundle:
    place = container.bundle.path / "exec" / name
    return replace(
        container.bundle, path=place, exit_dir=place / "exit", **{"terminal": False, **more}
    )


async def test_a_session_has_streams_and_an_exit_code_of_its_own(place: Place) -> None:
    async with place.running("sleep", "600") as container:
        process = exec_process(
            read_process(container.bundle.config),
            ["sh", "-c", "echo hi; cat; echo err >&2; exit 9"],
        )
        bundle = exec_bundle(container, "one", stdin=True, stdin_once=True)
        async with attached_exec(place.runtime, bundle, process) as session:
            started = pid_start_time(session.pid)
            await session.streams.write(b"typed\n")
            session.streams.end_input()
            assert await read_all(session.streams) == {1: b"hi\ntyped\n", 2: b"err\n"}
            await wait_exit(session.pid, started)
        assert await read_exit_code(bundle.exit_dir, container.id, 5.0) == 9
        assert await place.runtime.state(container.id) == "running"


async def test_a_session_may_have_a_terminal(place: Place) -> None:
    async with place.running("sleep", "600") as container:
        process = exec_process(read_process(container.bundle.config), ["sh"], terminal=True)
        bundle = exec_bundle(container, "tty", terminal=True, stdin=True)
        async with attached_exec(place.runtime, bundle, process) as session:
            resize(bundle.attach_dir, rows=20, columns=50)
            await session.streams.write(b"stty size; exit 3\n")
            await read_until(session.streams, b"20 50\r\n")
        assert await read_exit_code(bundle.exit_dir, container.id, 10.0) == 3


async def test_a_detached_command_runs_on_its_own(place: Place) -> None:
    async with place.running("sleep", "600") as container:
        process = exec_process(read_process(container.bundle.config), ["sh", "-c", "exit 8"])
        bundle = exec_bundle(container, "bg")
        assert await detached_exec(place.runtime, bundle, process) > 0
        assert await read_exit_code(bundle.exit_dir, container.id, 10.0) == 8


@pytest.mark.parametrize(
    ("command", "code"),
    [("no-such-program", "command-not-found"), ("/etc/passwd", "command-not-executable")],
)
async def test_a_command_that_is_not_there_is_told(place: Place, command: str, code: str) -> None:
    async with place.running("sleep", "600") as container:
        process = exec_process(read_process(container.bundle.config), [command])
        with pytest.raises(Failed) as caught:
            await detached_exec(place.runtime, exec_bundle(container, "bad"), process)
        assert caught.value.code == code
        with pytest.raises(Failed) as caught:
            async with attached_exec(place.runtime, exec_bundle(container, "bad2"), process):
                pass
        assert caught.value.code == code
