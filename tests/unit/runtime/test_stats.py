"""The kernel's numbers, read from trees of files as v1 and v2 have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.model.usage import BlockUsage
from orchestrator.runtime import groups as groups_module
from orchestrator.runtime import stats as stats_module
from orchestrator.runtime.groups import control_groups
from orchestrator.runtime.stats import read_usage

ID = "c" * 64
OTHER = f"/pystack/{ID}"


def write(directory: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in the place of /sys/fs/cgroup."""
    monkeypatch.setattr(groups_module, "CGROUPS", tmp_path)
    monkeypatch.setattr(stats_module, "CGROUPS", tmp_path)
    return tmp_path


def test_v2_has_everything_in_one_group(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = top / "pystack" / ID
    write(top, {"cgroup.controllers": "cpu memory"})
    write(group, {
        "cpu.stat": "usage_usec 3000\nuser_usec 2000\nsystem_usec 1000\nnr_periods 5\n"
                    "nr_throttled 2\nthrottled_usec 7\n",
        "memory.current": "5000\n",
        "memory.max": "8192\n",
        "memory.events": "low 0\nmax 3\noom 1\n",
        "memory.stat": "anon 100\ninactive_file 50\n",
        "io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n",
        "pids.current": "4\n",
        "pids.max": "max\n",
    })  # fmt: skip
    monkeypatch.setattr(stats_module, "control_groups", lambda *_: {"": group})
    used = read_usage(1, ID, network=False)
    assert (used.cpu.total_ns, used.cpu.user_ns, used.cpu.kernel_ns) == (
        3_000_000,
        2_000_000,
        10**6,
    )
    assert (used.cpu.periods, used.cpu.throttled_periods, used.cpu.throttled_ns) == (5, 2, 7000)
    assert (used.memory.used_bytes, used.memory.limit_bytes, used.memory.failures) == (
        5000,
        8192,
        3,
    )
    assert used.memory.numbers == {"anon": 100, "inactive_file": 50}
    assert used.blocks == (
        BlockUsage(major=8, minor=0, operation="read", size_bytes=10, count=1),
        BlockUsage(major=8, minor=0, operation="write", size_bytes=20, count=2),
    )
    assert (used.pids, used.pids_limit) == (4, 0)
    assert used.system_ns > 0
    assert used.cpus > 0


def test_v1_has_a_group_in_each_hierarchy(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(top, {
        "cpuacct/cpuacct.usage": "3000000\n",
        "cpuacct/cpuacct.usage_percpu": "1000000 2000000 \n",
        "cpuacct/cpuacct.stat": "user 2\nsystem 1\n",
        "cpu/cpu.stat": "nr_periods 5\nnr_throttled 2\nthrottled_time 7\n",
        "memory/memory.usage_in_bytes": "5000\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
        "memory/memory.max_usage_in_bytes": "6000\n",
        "memory/memory.failcnt": "1\n",
        "memory/memory.stat": "cache 1\ntotal_inactive_file 50\n",
        "blkio/blkio.throttle.io_service_bytes_recursive": "8:0 Read 10\n8:0 Write 20\nTotal 30\n",
        "blkio/blkio.throttle.io_serviced_recursive": "8:0 Read 1\n8:0 Write 2\nTotal 3\n",
        "pids/pids.current": "4\n",
        "pids/pids.max": "20\n",
    })  # fmt: skip
    names = ("cpuacct", "cpu", "memory", "blkio", "pids")
    monkeypatch.setattr(stats_module, "control_groups", lambda *_: {n: top / n for n in names})
    used = read_usage(1, ID, network=False)
    assert (used.cpu.total_ns, used.cpu.per_cpu_ns) == (3_000_000, (1_000_000, 2_000_000))
    assert (used.cpu.user_ns, used.cpu.kernel_ns) == (20_000_000, 10_000_000)
    assert (used.cpu.periods, used.cpu.throttled_ns) == (5, 7)
    assert (used.memory.used_bytes, used.memory.most_bytes, used.memory.failures) == (5000, 6000, 1)
    assert used.memory.limit_bytes > 1 << 20, "without a limit it is the machine's memory"
    assert [(b.operation, b.size_bytes, b.count) for b in used.blocks] == [
        ("read", 10, 1), ("write", 20, 2),
    ]  # fmt: skip
    assert (used.pids, used.pids_limit) == (4, 20)


def test_a_container_s_groups_are_its_own_wherever_its_first_process_went(
    top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (
        f"5:cpu,cpuacct:{OTHER}/below\n4:memory:{OTHER}\n1:name=systemd:{OTHER}\n0::/elsewhere\n"
    )
    real = Path.read_text

    def read(path: Path, *args: object, **kwargs: object) -> str:
        return lines if str(path) == "/proc/7/cgroup" else real(path, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "read_text", read)
    (top / "cpu,cpuacct").mkdir()
    (top / "memory").mkdir()
    assert control_groups(7, ID) == {
        "cpu": top / "cpu,cpuacct" / "pystack" / ID,
        "cpuacct": top / "cpu,cpuacct" / "pystack" / ID,
        "memory": top / "memory" / "pystack" / ID,
    }
    with pytest.raises(ProcessLookupError):
        control_groups(2**22 + 1, ID)
