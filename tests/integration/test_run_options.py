"""Options of containers that need something of the machine around: shared mounts, real time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.aio.libc import MS_BIND, MS_SHARED, mount
from orchestrator.errors import Failed
from orchestrator.runtime.realtime import set_aside
from orchestrator.volumes.mounts import is_shared, mount_of, unmount
from tests.support.engine import EngineUnderTest
from tests.support.waiting import wait_until

_CPU = Path("/sys/fs/cgroup/cpu")


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """A directory of this machine on a mount that is shared with the engine's."""
    directory = tmp_path / "shared"
    directory.mkdir()
    mount(str(directory), str(directory), flags=MS_BIND)
    mount("", str(directory), flags=MS_SHARED)
    yield directory
    unmount(directory)


def test_what_is_mounted_in_a_shared_bind_is_seen_on_both_sides(
    place: EngineUnderTest, shared: Path
) -> None:
    for name in ("out", "in", "before"):
        (shared / name).mkdir()
    mount("earlier", str(shared / "before"), "tmpfs")
    place.start()
    options = f"type=bind,source={shared},target=/x,bind-propagation=rshared"
    rights = ("--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined")
    script = "mount -t tmpfs mine /x/out && touch /x/out/file && sleep 1000"
    place.cli(
        *("run", "-d", "-q", "--name", "both", *rights, "--mount", options),
        *("busybox", "sh", "-c", script),
    )
    slave = f"type=bind,source={shared},target=/x,bind-propagation=rslave"
    place.cli("run", "-d", "--name", "below", "--mount", slave, "busybox", "sleep", "1000")
    try:
        wait_until((shared / "out/file").exists, "the container's mount here")
        mount("yours", str(shared / "in"), "tmpfs")
        (shared / "in/mine").touch()
        for name in ("both", "below"):
            assert place.cli("exec", name, "ls", "/x/in").stdout == "mine\n"
    finally:
        place.cli("rm", "-f", "both", "below")
        left = [name for name in ("before", "in", "out") if (shared / name).is_mount()]
        for name in left:
            unmount(shared / name)
    assert left == ["before", "in", "out"], "the machine's own mounts stay"


def test_a_bind_that_cannot_be_shared_is_refused(engine: EngineUnderTest, tmp_path: Path) -> None:
    options = f"type=bind,source={tmp_path},target=/x,bind-propagation=shared"
    said = engine.run("run", "--rm", "-q", "--mount", options, "busybox", "true")
    assert (said.exit_code, "make-shared" in said.stderr) == (125, True)


def test_a_mount_of_another_namespace_stays_shared(shared: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    with Path("/proc/self/ns/mnt").open("rb") as here:
        mount_of(here.fileno(), str(shared), place)
        try:
            assert is_shared(place)
        finally:
            unmount(place)
        with pytest.raises(FileNotFoundError):
            mount_of(here.fileno(), str(tmp_path / "none"), place)


def test_special_mounts_and_shared_namespaces_outlive_the_engine(
    engine: EngineUnderTest, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("the machine's\n")
    opts = ",".join(f"volume-opt={o}" for o in ("type=tmpfs", "device=tmpfs", "o=size=1m"))
    bind = f"volume-opt=type=none,volume-opt=device={tmp_path},volume-opt=o=bind"
    flags = [
        *("--mount", f"source=memory,target=/memory,{opts}"),
        *("--mount", f"source=bound,target=/bound,{bind}", "-v", "plain:/plain"),
    ]
    script = "echo kept > /memory/x; mkdir /plain/sub; echo 1 > /dev/shm/s; sleep 1000"
    busybox = ("busybox", "sh", "-c", script)
    engine.cli("run", "-d", "-q", "--name", "one", "--ipc", "shareable", *flags, *busybox)
    wait_until(lambda: engine.run("exec", "one", "test", "-s", "/dev/shm/s").exit_code == 0, "one")
    engine.kill9()
    engine.start()
    more = [
        *("--mount", "source=plain,target=/sub,volume-subpath=sub", "--ipc", "container:one"),
        *("--mount", "type=image,source=busybox,target=/image,image-subpath=bin"),
    ]
    sleeping = ("busybox", "sleep", "1000")
    engine.cli("run", "-d", "--name", "two", *flags, *more, *sleeping)
    seen = "cat /memory/x /bound/mine /dev/shm/s; touch /sub/from-two; test -e /image/sh"
    said = engine.cli("exec", "two", "sh", "-c", seen).stdout
    assert said == "kept\nthe machine's\n1\n"
    engine.kill9()
    engine.start()
    engine.cli("rm", "-f", "two")
    assert engine.cli("exec", "one", "ls", "/plain/sub").stdout == "from-two\n"
    assert engine.cli("exec", "one", "cat", "/bound/mine").stdout == "the machine's\n"
    engine.cli("rm", "-f", "one")
    engine.cli("volume", "rm", "memory", "bound", "plain")
    assert (tmp_path / "mine").read_text() == "the machine's\n"


@pytest.mark.skipif(not (_CPU / "cpu.rt_runtime_us").exists(), reason="no such limit here")
def test_real_time_is_set_aside_above_the_container(
    engine: EngineUnderTest, cgroup_parent: str
) -> None:
    flags = ("--cpu-rt-runtime", "5000", "--cpu-rt-period", "100000")
    said = engine.cli(
        *("run", "--rm", "-q", *flags, "busybox", "cat", "/sys/fs/cgroup/cpu/cpu.rt_runtime_us")
    )
    assert said.stdout == "5000\n"
    above = _CPU / cgroup_parent / "cpu.rt_runtime_us"
    assert int(above.read_text()) == 50_000
    with pytest.raises(Failed):
        set_aside(cgroup_parent, 2_000_000, 1_000_000)
