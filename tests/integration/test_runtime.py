"""Containers through conmon and both runtimes: made, started, signalled, ended, deleted."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from orchestrator.aio.process import run_process
from orchestrator.errors import Failed
from orchestrator.model.container import ContainerSpec, Mount, Resources, Ulimit
from orchestrator.runtime.bundle import exec_process, read_process
from orchestrator.runtime.cgroups import remove_cgroup
from orchestrator.runtime.choose import choose_runtime
from orchestrator.runtime.process import alive, pid_start_time, read_exit_code, was_oom_killed
from orchestrator.settings import Settings
from tests.support.containers import Place, make_root, without_unified_hierarchy
from tests.support.isolation import Isolation


@pytest.fixture(autouse=True)
def crun_works() -> Iterator[None]:
    with without_unified_hierarchy():
        yield


@pytest.fixture(scope="module")
def root(isolation: Isolation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_root(tmp_path_factory.mktemp("root") / "r")


def settings_in(path: Path, runtime: str, cgroup_parent: str) -> Settings:
    return Settings(
        data_dir=path / "data",
        run_dir=path / "run",
        socket=path / "socket",
        log_file=path / "log",
        runtime=runtime,
        cgroup_parent=cgroup_parent,
    )


@pytest.fixture(params=["crun", "runc"])
async def place(
    request: pytest.FixtureRequest, tmp_path: Path, root: Path, cgroup_parent: str
) -> Place:
    runtime = await choose_runtime(settings_in(tmp_path, request.param, cgroup_parent))
    assert runtime.name == request.param
    return Place(runtime, tmp_path, root, cgroup_parent)


async def test_a_command_runs_and_its_exit_code_and_output_are_kept(place: Place) -> None:
    async with place.running("sh", "-c", "echo out; echo err >&2; exit 7") as container:
        assert await container.ended() == 7
        assert container.output() == ["out"]
        assert container.output("stderr") == ["err"]


async def test_a_signal_ends_it_and_is_in_the_exit_code(place: Place) -> None:
    async with place.running("sleep", "600") as container:
        assert alive(container.pid, container.started)
        await place.runtime.kill(container.id, signal.SIGKILL)
        assert await container.ended() == 128 + signal.SIGKILL
        assert not alive(container.pid, container.started)
        await place.runtime.kill(container.id, signal.SIGKILL)


async def test_deleting_what_is_gone_and_creating_what_exists_are_fine(place: Place) -> None:
    async with place.created("sleep", "600") as container:
        assert await place.runtime.create(container.bundle) == container.pid
        await place.runtime.start(container.id)
        assert await place.runtime.create(container.bundle) == container.pid
    await place.runtime.delete(container.id)
    await place.runtime.delete("never-was", force=True)
    assert await place.runtime.state(container.id) == ""


async def test_a_dead_leftover_is_replaced(place: Place) -> None:
    async with place.running("true") as container:
        await container.ended()
        assert (pid := await place.runtime.create(container.bundle)) != container.pid
        assert pid_start_time(pid)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("no-such-program", "command-not-found"),
        ("", "command-not-found"),
        ("/no/such/program", "command-not-found"),
        ("/etc/passwd", "command-not-executable"),
        ("/etc", "command-not-executable"),
    ],
)
async def test_a_wrong_command_is_told_apart(place: Place, command: str, code: str) -> None:
    with pytest.raises(Failed) as caught:
        async with place.created(command):
            pass
    assert caught.value.code == code
    assert command in caught.value.message
    assert not any(place.runtime.root.iterdir())


async def test_a_thousand_lines_are_all_kept(place: Place) -> None:
    lines = await place.output_of("i=0; while [ $i -lt 1000 ]; do echo $i; i=$((i+1)); done")
    assert lines == [str(n) for n in range(1000)]


_KILLED_ENGINE = """
import asyncio, os, pickle, signal, sys

async def main():
    runtime, bundle = pickle.load(sys.stdin.buffer)
    print(await runtime.create(bundle), flush=True)
    await runtime.start(bundle.id)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_the_container_outlives_a_killed_engine(place: Place, tmp_path: Path) -> None:
    bundle = place.bundle(
        ContainerSpec(image="i", command=("sh", "-c", "read x < /tmp/go; echo $x; exit 5"))
    )
    fifo = place.root / "tmp/go"
    os.mkfifo(fifo)
    try:
        engine = await run_process(
            [sys.executable, "-c", _KILLED_ENGINE],
            stdin=pickle.dumps((place.runtime, bundle)),
            timeout_s=30,
        )
        assert engine.exit_code == 128 + signal.SIGKILL, engine.stderr
        pid = int(engine.stdout)
        assert alive(pid, pid_start_time(pid))
        await anyio.Path(fifo).write_text("still here\n")
        assert await read_exit_code(bundle.exit_dir, bundle.id, 5.0) == 5
        assert "still here" in bundle.log_path.read_text()
    finally:
        await place.runtime.delete(bundle.id, force=True)
        remove_cgroup(f"{place.cgroup_parent}/{bundle.id}")
        fifo.unlink()


async def test_pausing_stops_and_resuming_goes_on(place: Place) -> None:
    async with place.running("sleep", "600") as container:
        await place.runtime.pause(container.id)
        assert await place.runtime.state(container.id) == "paused"
        await place.runtime.resume(container.id)
        assert await place.runtime.state(container.id) == "running"


async def test_a_paused_container_can_be_deleted(place: Place) -> None:
    async with place.running("sleep", "600") as container:
        await place.runtime.pause(container.id)
        with anyio.fail_after(10):
            await place.runtime.delete(container.id, force=True)
            assert await container.ended() == 137


# -- what it looks like inside -------------------------------------------------------------------


async def test_the_user_decides_identity_home_and_capabilities(place: Place) -> None:
    script = "id -u; id -g; id -G; echo $HOME; grep CapEff /proc/self/status"
    assert await place.output_of(script, user="bob") == [
        "1000", "1000", "1000 10", "/home/bob", "CapEff:\t0000000000000000",
    ]  # fmt: skip
    assert (await place.output_of(script))[:4] == ["0", "0", "0 10", "/root"]
    assert (await place.output_of(script, user="77:10"))[:4] == ["77", "10", "10", "/"]


async def test_environment_hostname_and_working_directory_are_as_asked(place: Place) -> None:
    lines = await place.output_of(
        "echo $NAME; hostname; pwd",
        environment={"NAME": "a=b c"},
        hostname="web",
        working_dir="/tmp/made/for/it",
    )
    assert lines == ["a=b c", "web", "/tmp/made/for/it"]


async def test_a_missing_working_directory_is_made(place: Place) -> None:
    assert await place.output_of("pwd", working_dir="/srv/not/there") == ["/srv/not/there"]


async def test_an_init_is_the_first_process_and_reaps(place: Place) -> None:
    lines = await place.output_of("cat /proc/1/cmdline | tr '\\0' ' '", init=True)
    assert lines[0].startswith("/sbin/docker-init -- sh -c")


async def test_a_read_only_root_can_have_writable_mounts(place: Place) -> None:
    lines = await place.output_of(
        "touch /x 2>/dev/null && echo bad; touch /tmp/x && echo good",
        read_only=True,
        mounts=(Mount(kind="tmpfs", target="/tmp", tmpfs_size_bytes=1 << 20),),
    )
    assert lines == ["good"]


async def test_binds_show_host_files_and_may_be_read_only(place: Place, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/file").write_text("from the host\n")
    shared = Mount(kind="bind", target="/data/deep", source=str(tmp_path / "shared"))
    lines = await place.output_of("cat /data/deep/file; echo x > /data/deep/new", mounts=(shared,))
    assert lines == ["from the host"]
    assert (tmp_path / "shared/new").read_text() == "x\n"
    lines = await place.output_of(
        "touch /data/deep/no 2>/dev/null || echo refused", mounts=(replace(shared, read_only=True),)
    )
    assert lines == ["refused"]


async def test_limits_reach_the_control_group(place: Place) -> None:
    resources = Resources(
        memory_bytes=64 << 20,
        pids_limit=50,
        nano_cpus=500_000_000,
        ulimits=(Ulimit(name="nofile", soft=100, hard=200), Ulimit(name="core", soft=0, hard=0)),
    )
    lines = await place.output_of(
        "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes pids/pids.max cpu/cpu.cfs_quota_us;"
        " ulimit -Sn; ulimit -Hn; ulimit -c",
        resources=resources,
    )
    assert lines == [str(64 << 20), "50", "50000", "100", "200", "0"]


async def test_a_limit_above_the_engines_own_is_cut_to_it(place: Place) -> None:
    huge = Resources(ulimits=(Ulimit(name="nofile", soft=1 << 30, hard=-1),))
    lines = await place.output_of("ulimit -Hn", resources=huge)
    assert int(lines[0]) <= 1 << 30


async def test_want_of_memory_is_noticed(place: Place) -> None:
    resources = Resources(memory_bytes=16 << 20, memory_swap_bytes=16 << 20)
    async with place.running("sh", "-c", "exec tail /dev/zero", resources=resources) as container:
        with anyio.fail_after(30):
            assert await container.ended() == 137
        assert was_oom_killed(container.bundle)
    async with place.running("true", resources=resources) as container:
        await container.ended()
        assert not was_oom_killed(container.bundle)


async def test_the_machine_is_out_of_reach_unless_privileged(place: Place) -> None:
    script = (
        "test -e /dev/kmsg && echo kmsg; echo 1 2>/dev/null >/proc/sys/vm/overcommit_memory"
        " && echo sysctl; mount -t tmpfs t /tmp 2>/dev/null && echo mount; true"
    )
    assert await place.output_of(script) == []
    assert await place.output_of(script.replace("echo 1", "true"), privileged=True) == [
        "kmsg", "sysctl", "mount",
    ]  # fmt: skip


async def test_capabilities_are_added_and_dropped(place: Place) -> None:
    script = "mount -t tmpfs t /tmp && echo mounted; chown 1 /tmp/ 2>/dev/null || echo no chown"
    lines = await place.output_of(script, cap_add=("SYS_ADMIN",), cap_drop=("CAP_CHOWN",))
    assert lines == ["mounted", "no chown"]


async def test_devices_can_be_given(place: Place) -> None:
    lines = await place.output_of(
        "test -c /dev/mine && head -c 1 /dev/mine | wc -c", devices=("/dev/zero:/dev/mine:r",)
    )
    assert lines == ["1"]


async def test_namespaces_can_be_shared(place: Place) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(place.running("sleep", "600"))
        path = f"/proc/{first.pid}/ns/net"
        (inside,) = await place.output_of(
            "readlink /proc/self/ns/net", namespaces={"network": path}
        )
        assert inside == str(Path(path).readlink())
    (inside,) = await place.output_of("readlink /proc/self/ns/net", namespaces={"network": ""})
    assert inside == str(Path("/proc/self/ns/net").readlink())


# -- more commands in it ---------------------------------------------------------------------------


async def test_a_probe_has_the_containers_environment_and_an_exit_code(place: Place) -> None:
    async with place.running("sleep", "600", environment={"A": "b"}, user="bob") as container:
        done = await place.runtime.exec(
            container.id, ["sh", "-c", "echo $A; id -u; exit 3"], timeout_s=10
        )
        assert (done.exit_code, done.stdout) == (3, b"b\n1000\n")
        missing = await place.runtime.exec(container.id, ["no-such"], timeout_s=10)
        assert missing.exit_code in (1, 126, 127, 255)
        assert b"no-such" in missing.stderr + missing.stdout


async def test_a_probe_that_takes_too_long_is_killed_inside_too(place: Place) -> None:
    async with place.running("sleep", "600") as container:
        with pytest.raises(TimeoutError):
            await place.runtime.exec(container.id, ["sleep", "601"], timeout_s=0.5)
        done = await place.runtime.exec(container.id, ["ps"], timeout_s=10)
        assert b"sleep 600" in done.stdout
        assert b"sleep 601" not in done.stdout


async def test_a_probe_that_never_stops_talking_is_bounded(place: Place) -> None:
    async with place.running("sleep", "600") as container:
        done = await place.runtime.exec(
            container.id, ["sh", "-c", "yes | head -c 3000000; exit 1"], most_bytes=100
        )
        assert (done.exit_code, done.stdout) == (1, b"y\n" * 50)


async def test_a_probe_of_what_does_not_run_is_told(place: Place) -> None:
    with pytest.raises(Failed) as caught:
        await place.runtime.exec("never-was", ["true"])
    assert caught.value.code == "container-not-running"


async def test_a_command_may_have_a_user_and_directory_of_its_own(place: Place) -> None:
    from orchestrator.runtime.user import resolve_user

    async with place.running("sleep", "600") as container:
        process = exec_process(
            read_process(container.bundle.config),
            ["sh", "-c", "id -un; pwd; echo $X"],
            env=["X=y"],
            user=resolve_user(place.root, "bob"),
            cwd="/tmp",
        )
        done = await place.runtime.exec(container.id, process, timeout_s=10)
        assert done.stdout == b"bob\n/tmp\ny\n"


async def test_crun_is_preferred_and_the_choice_is_explained(
    tmp_path: Path, cgroup_parent: str
) -> None:
    chosen = await choose_runtime(settings_in(tmp_path, "", cgroup_parent))
    assert (chosen.name, chosen.refused) == ("crun", ())
    assert chosen.version[0].isdigit()
