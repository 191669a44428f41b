"""Limits that bind: what a container does against them, and what the kernel counted.

On whatever layout of cgroups the machine has: v1 or hybrid, or v2 with its controllers.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import anyio
import pytest

from orchestrator.model.container import DeviceLimit, Resources
from orchestrator.runtime.cgroups import layout
from orchestrator.runtime.groups import control_groups
from orchestrator.runtime.host import read_host
from orchestrator.runtime.kernel_limits import missing_limits
from orchestrator.runtime.limits import resources
from orchestrator.runtime.process import was_oom_killed
from orchestrator.runtime.stats import read_usage
from tests.support.confined import LENT
from tests.support.containers import Place, Running

MEGABYTE = 1 << 20


async def until_busy(container: Running, periods: int) -> None:
    """Returns when that many of the processor's periods have begun."""
    deadline = time.monotonic() + 20
    while read_usage(container.pid, container.id).cpu.periods < periods:
        assert time.monotonic() < deadline
        await anyio.sleep(0.05)


def kernel_file(container: Running, controller: str, v1: str, v2: str) -> str:
    groups = control_groups(container.pid, container.id)
    directory = groups.get(controller) or groups[""]
    return (directory / (v2 if layout() == "v2" else v1)).read_text().strip()


# -- memory ----------------------------------------------------------------------------------------


async def test_a_memory_hog_is_killed_and_that_is_known(confined: Place) -> None:
    limits = Resources(memory_bytes=24 * MEGABYTE, memory_swap_bytes=24 * MEGABYTE)
    async with confined.running("sh", "-c", "exec tail /dev/zero", resources=limits) as container:
        with anyio.fail_after(30):
            assert await container.ended() == 137
        assert was_oom_killed(container.bundle)


async def test_one_hog_among_several_processes_is_killed_and_the_first_one_lives(
    confined: Place,
) -> None:
    limits = Resources(memory_bytes=24 * MEGABYTE, memory_swap_bytes=24 * MEGABYTE)
    lines = await confined.output_of("(exec tail /dev/zero); echo $?", resources=limits)
    assert lines == ["137"]


async def test_what_fits_is_not_killed(confined: Place) -> None:
    limits = Resources(memory_bytes=64 * MEGABYTE, memory_swap_bytes=64 * MEGABYTE)
    script = "head -c 30000000 /dev/zero | tail -c 30000000 | wc -c"
    assert await confined.output_of(script, resources=limits) == ["30000000"]


async def test_swap_is_as_much_again_unless_said_otherwise(confined: Place) -> None:
    for asked, total in ((0, 64), (48 * MEGABYTE, 48), (32 * MEGABYTE, 32)):
        limits = Resources(memory_bytes=32 * MEGABYTE, memory_swap_bytes=asked)
        async with confined.running("sleep", "600", resources=limits) as container:
            assert kernel_file(container, "memory", "memory.limit_in_bytes", "memory.max") == str(
                32 * MEGABYTE
            )
            try:
                told = int(
                    kernel_file(
                        container, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max"
                    )
                )
            except FileNotFoundError:
                return  # this kernel does not account for swap
            expected = total - 32 if layout() == "v2" else total
            assert told == expected * MEGABYTE


# -- processes -------------------------------------------------------------------------------------


async def test_a_fork_bomb_stops_at_the_limit(confined: Place) -> None:
    script = "bomb() { bomb | bomb & }; bomb 2>/dev/null; exec sleep 600"
    async with confined.running("sh", "-c", script, resources=Resources(pids_limit=24)) as bomb:
        most = 0
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            most = max(most, read_usage(bomb.pid, bomb.id).pids)
            await anyio.sleep(0.02)
        refused = kernel_file(bomb, "pids", "pids.events", "pids.events")
    assert 12 <= most <= 24
    assert int(refused.split()[1]) > 0


async def test_without_a_limit_there_is_none(confined: Place) -> None:
    async with confined.running("sleep", "600") as container:
        usage = read_usage(container.pid, container.id)
        assert (usage.pids, usage.pids_limit) == (1, 0)
        assert usage.memory.limit_bytes >= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


# -- processors ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cpus", [0.05, 0.5])
async def test_a_busy_container_is_throttled_to_its_share(confined: Place, cpus: float) -> None:
    limits = Resources(nano_cpus=int(cpus * 1e9))
    busy = "(while :; do :; done) & while :; do :; done"
    async with confined.running("sh", "-c", busy, resources=limits) as container:
        await until_busy(container, 2)
        before = read_usage(container.pid, container.id).cpu
        await until_busy(container, before.periods + 12)
        after = read_usage(container.pid, container.id).cpu
    # Against the periods that the kernel counted, not against a clock: this machine has others.
    periods = after.periods - before.periods
    used = (after.total_ns - before.total_ns) / (periods * 100_000_000)
    assert used <= cpus * 1.25 + 0.02
    if cpus < 0.2:
        # A larger share may be more than this machine has to give, and then nobody is held back.
        assert after.throttled_periods > before.throttled_periods
        assert after.throttled_ns > before.throttled_ns


async def test_a_set_of_processors_is_kept_to(confined: Place) -> None:
    last = max(os.sched_getaffinity(0))
    lines = await confined.output_of(
        "grep Cpus_allowed_list /proc/self/status", resources=Resources(cpuset_cpus=str(last))
    )
    assert lines[0].split() == ["Cpus_allowed_list:", str(last)]


async def test_shares_reach_the_kernel(confined: Place) -> None:
    async with confined.running("sleep", "600", resources=Resources(cpu_shares=512)) as container:
        told = int(kernel_file(container, "cpu", "cpu.shares", "cpu.weight"))
    if layout() == "v2":
        # Runtimes differ in how they map 2..262144 to 1..10000.
        assert 15 <= told <= 70
    else:
        assert told == 512


# -- disks -----------------------------------------------------------------------------------------


async def test_reading_is_slowed_down_to_the_rate(confined: Place) -> None:
    if "blkio-throttle" in missing_limits():
        pytest.skip("this kernel's cgroups do not throttle disks")
    disk = disk_of(Path("/usr").stat().st_dev)
    limits = Resources(device_read_bps=(DeviceLimit(path=str(disk), value=512 << 10),))
    script = "dd if=/usr/bin/perl of=/dev/null bs=64k count=16 iflag=direct 2>/dev/null"
    began = time.monotonic()
    async with confined.running("sh", "-c", script, mounts=LENT, resources=limits) as container:
        with anyio.fail_after(30):
            assert await container.ended() == 0
    # Never faster than that; how much slower depends on who else reads.
    assert time.monotonic() - began > 1.0


def disk_of(device: int) -> Path:
    for path in Path("/dev").iterdir():
        if path.is_block_device() and path.stat().st_rdev == device:
            return path
    pytest.skip("the tests' files are on no block device")


async def test_a_weight_reaches_the_kernel_where_it_has_one(confined: Place) -> None:
    limits = Resources(blkio_weight=300)
    if "blkio-weight" in missing_limits():
        assert resources(limits, read_host(), missing_limits()) == {}, "left out, as Docker does"
        return
    async with confined.running("sleep", "600", resources=limits) as container:
        told = kernel_file(container, "blkio", "blkio.weight", "io.weight")
        assert told.split()[-1] in ("300", "2930")


# -- devices ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rights", "opened"), [("r", ["r"]), ("w", ["w"]), ("rw", ["r", "w"])])
async def test_a_device_is_given_with_the_rights_asked_for_and_no_others(
    confined: Place, rights: str, opened: list[str]
) -> None:
    lines = await confined.output_of(
        "(exec 3</dev/log) 2>/dev/null && echo r; (exec 3>/dev/log) 2>/dev/null && echo w; true",
        devices=(f"/dev/kmsg:/dev/log:{rights}",),
        cap_add=("SYSLOG",),
    )
    assert lines == opened


async def test_a_rule_lets_a_device_be_used_that_the_container_makes(confined: Place) -> None:
    script = (
        "rm -f /tmp/k; mknod /tmp/k c 1 11; (exec 3</tmp/k) 2>/dev/null && echo read; rm /tmp/k"
    )
    more = {"cap_add": ("SYSLOG",)}
    assert await confined.output_of(script, **more) == []
    lines = await confined.output_of(script, device_cgroup_rules=("c 1:* rmw",), **more)
    assert lines == ["read"]
