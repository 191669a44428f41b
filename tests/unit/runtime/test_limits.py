"""Limits in the OCI form, and which of them a kernel has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import InvalidInput, Unavailable
from orchestrator.model.container import ContainerSpec, DeviceLimit, Mount, Resources, Ulimit
from orchestrator.runtime.devices import device_rules
from orchestrator.runtime.filesystem import container_mounts
from orchestrator.runtime.host import UNLIMITED, Host
from orchestrator.runtime.init import find_init
from orchestrator.runtime.kernel_limits import LIMITS, missing_limits
from orchestrator.runtime.limits import resources, rlimits
from orchestrator.runtime.realtime import set_aside
from tests.unit.runtime.test_bundle import config_of, mount_at

HOST = Host(capabilities=frozenset())


def limited(lacking: frozenset[str] = frozenset(), host: Host = HOST, **limits: Any) -> Any:
    return resources(Resources(**limits), host, lacking)


def test_nothing_is_limited_unasked() -> None:
    assert limited() == {}


def test_memory_and_swap_follow_docker() -> None:
    assert limited(memory_bytes=100) == {"memory": {"limit": 100, "swap": 200}}
    assert limited(memory_bytes=100, memory_swap_bytes=-1)["memory"]["swap"] == -1
    assert limited(memory_bytes=100, memory_swap_bytes=100)["memory"]["swap"] == 100
    no_swap = Host(capabilities=frozenset(), swap=False)
    assert limited(host=no_swap, memory_bytes=100) == {"memory": {"limit": 100}}
    wanted: dict[str, Any] = {
        "memory_reservation_bytes": 5, "memory_swappiness": 0, "oom_kill_disable": True
    }  # fmt: skip
    assert limited(**wanted) == {
        "memory": {"reservation": 5, "swappiness": 0, "disableOOMKiller": True}
    }
    assert limited(LIMITS, **wanted) == {"memory": {"reservation": 5}}


def test_processors() -> None:
    assert limited(nano_cpus=1_500_000_000)["cpu"] == {"period": 100_000, "quota": 150_000}
    assert limited(nano_cpus=1)["cpu"]["quota"] == 1000
    every: dict[str, Any] = {
        "cpu_shares": 2, "cpu_period_us": 3, "cpu_quota_us": 4, "cpu_rt_period_us": 5,
        "cpu_rt_runtime_us": 6, "cpuset_cpus": "0", "cpuset_mems": "1",
    }  # fmt: skip
    assert limited(**every)["cpu"] == {
        "shares": 2, "period": 3, "quota": 4, "cpus": "0", "mems": "1",
        "realtimePeriod": 5, "realtimeRuntime": 6,
    }  # fmt: skip
    assert "realtimeRuntime" not in limited(LIMITS, **every)["cpu"]


def test_block_devices_are_looked_up() -> None:
    disk = next((p for p in Path("/dev").iterdir() if p.is_block_device()), None)
    if disk is None:
        pytest.skip("no block device here")
    number = disk.stat().st_rdev
    rate = {"major": os.major(number), "minor": os.minor(number), "rate": 9}
    one = (DeviceLimit(path=str(disk), value=9),)
    every = {f"device_{way}_{what}": one for way in ("read", "write") for what in ("bps", "iops")}
    assert limited(blkio_weight=20, **every)["blockIO"] == {
        "weight": 20, "throttleReadBpsDevice": [rate], "throttleWriteBpsDevice": [rate],
        "throttleReadIOPSDevice": [rate], "throttleWriteIOPSDevice": [rate],
    }  # fmt: skip
    assert limited(LIMITS, blkio_weight=20, **every) == {}
    for path in ("/dev/null", "/dev/nothing-here"):
        with pytest.raises(InvalidInput):
            limited(device_read_bps=(DeviceLimit(path=path, value=1),))


def test_rlimits_are_checked_and_bounded() -> None:
    host = Host(capabilities=frozenset(), hard_limits={"nofile": 100})
    wanted = (Ulimit(name="NOFILE", soft=50, hard=200), Ulimit(name="core", soft=0, hard=-1))
    assert rlimits(wanted, host) == [
        {"type": "RLIMIT_NOFILE", "soft": 50, "hard": 100},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": UNLIMITED},
    ]
    with pytest.raises(InvalidInput):
        rlimits((Ulimit(name="core", soft=2, hard=1),), host)


def test_device_rules_of_ones_own_come_last() -> None:
    more = ("c 10:* rw", "a *:* m", "b 8:1 r")
    assert device_rules([], privileged=False, more=more)[-3:] == [
        {"allow": True, "type": "c", "major": 10, "access": "rw"},
        {"allow": True, "type": "a", "access": "m"},
        {"allow": True, "type": "b", "major": 8, "minor": 1, "access": "r"},
    ]
    for rule in ("", "c 1:3", "x 1:3 r", "c 1:3 rx", "c -1:3 r"):
        with pytest.raises(InvalidInput):
            device_rules([], privileged=False, more=(rule,))


def test_what_a_kernel_has_is_seen_in_its_files(tmp_path: Path) -> None:
    assert missing_limits("v1", tmp_path) == missing_limits("v2", tmp_path) == LIMITS
    for file in ("memory/memory.swappiness", "cpu/cpu.rt_runtime_us", "some/io.weight"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / "cgroup.controllers").write_text("cpu io memory\n")
    assert missing_limits("hybrid", tmp_path) == LIMITS - {"swappiness", "cpu-rt"}
    assert missing_limits("v2", tmp_path) == LIMITS - {"blkio-weight", "blkio-throttle"}


def test_real_time_adds_up_below_one_parent(tmp_path: Path) -> None:
    def cgroup(name: str, runtime_us: int, period_us: int) -> Path:
        directory = tmp_path / name
        directory.mkdir()
        (directory / "cpu.rt_runtime_us").write_text(str(runtime_us))
        (directory / "cpu.rt_period_us").write_text(str(period_us))
        return directory

    parent = cgroup("parent", 0, 1_000_000)
    cgroup("parent/one", 1000, 10_000)
    set_aside("/parent", 5000, 100_000, tmp_path)
    assert (parent / "cpu.rt_runtime_us").read_text() == "150000"
    set_aside("parent", 10, 0, tmp_path)
    assert (parent / "cpu.rt_runtime_us").read_text() == "150000", "there is enough"


def test_the_init_is_one_that_is_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("orchestrator.runtime.init._MORE", (tmp_path / "other",))
    with pytest.raises(Unavailable) as caught:
        find_init()
    assert "catatonit" in caught.value.hint
    (tmp_path / "other").touch()
    assert find_init() == str(tmp_path / "other")
    (tmp_path / "catatonit").touch(mode=0o755)
    assert find_init() == str(tmp_path / "catatonit")


def options_of(whole: bool = True, **mount: Any) -> list[str]:
    wanted = Mount(target="/x", **mount)
    made = container_mounts(
        ContainerSpec(image="x"),
        [(wanted, "/source")],
        files=Path("/nowhere"),
        init="",
        recursive=whole,
    )
    return next(list(m["options"]) for m in made if m["destination"] == "/x")


def test_binds_say_what_becomes_of_the_mounts_below() -> None:
    bind: dict[str, Any] = {"kind": "bind"}
    assert options_of(**bind) == ["rbind", "rprivate"]
    assert options_of(**bind, read_only=True) == ["rbind", "rprivate", "rro"]
    assert options_of(**bind, read_only=True, recursive="readonly") == ["rbind", "rprivate", "rro"]
    assert options_of(False, **bind, read_only=True) == ["rbind", "rprivate", "ro"]
    assert options_of(**bind, read_only=True, recursive="writable") == ["rbind", "rprivate", "ro"]
    assert options_of(**bind, recursive="disabled", propagation="rslave") == ["bind", "slave"]
    assert options_of(kind="image") == ["rbind", "rprivate", "rro"]


def test_options_of_a_tmpfs_replace_the_careful_ones() -> None:
    assert options_of(kind="tmpfs") == ["nosuid", "noexec", "nodev", "mode=1777"]
    own = options_of(
        kind="tmpfs", tmpfs_options=("exec", "uid=3"), tmpfs_size_bytes=9, read_only=True
    )
    assert own == ["nosuid", "exec", "nodev", "uid=3", "size=9", "mode=1777", "ro"]


def test_the_containers_own_wishes_reach_the_configuration() -> None:
    config = config_of(
        annotations={"a": "b"}, oom_score_adj=5, masked_paths=(), readonly_paths=("/proc/bus",),
        environment={"A": "1"}, unset_environment=("PATH",), device_cgroup_rules=("c 1:1 r",),
    )  # fmt: skip
    assert config["annotations"]["a"] == "b"
    assert config["process"]["oomScoreAdj"] == 5
    assert (config["linux"]["maskedPaths"], config["linux"]["readonlyPaths"]) == ([], ["/proc/bus"])
    assert not [v for v in config["process"]["env"] if v.startswith("PATH=")]
    assert config["linux"]["resources"]["devices"][-1]["access"] == "r"
    assert mount_at(config, "/dev/shm")["type"] == "tmpfs"
