"""Containers under each layout of cgroups: v1, v1 with a v2 tree beside it, and all of v2.

On a machine of one layout the others are had by mounts in the tests' own namespace. A v2 tree
beside v1 has no controllers to give, so there the limits themselves are not seen to bind; on a
machine of v2, test_limits does that.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.aio.libc import MNT_DETACH, mount, umount
from orchestrator.model.container import Resources
from orchestrator.runtime.cgroups import CGROUPS, Layout, cgroup_directories, layout, remove_cgroup
from orchestrator.runtime.choose import choose_runtime
from orchestrator.runtime.groups import control_groups, is_frozen
from orchestrator.runtime.host import read_host
from orchestrator.runtime.stats import read_usage
from orchestrator.settings import Settings
from tests.support.containers import Place, without_unified_hierarchy

NATIVE = layout()
# crun refuses a hybrid layout, so the engine hides the v2 tree from it: that is "v1" here.
CASES = [("v1", "crun"), ("v1", "runc"), ("hybrid", "runc"), ("v2", "crun"), ("v2", "runc")]
# crun's device rules under v2 want CAP_SYS_RESOURCE on kernels that charge BPF to a rlimit; the
# engine's choice falls on runc where that is missing.
CHARGED = "SYS_RESOURCE" not in read_host().capabilities
HAD = [
    (kind, program)
    for kind, program in CASES
    if NATIVE in ("hybrid", kind) and not (CHARGED and (kind, program) == ("v2", "crun"))
]


@contextmanager
def seen_as(kind: Layout) -> Iterator[None]:
    """The layout of cgroups while the block lasts, for this mount namespace."""
    if kind == NATIVE:
        yield
    elif kind == "v1":
        with without_unified_hierarchy():
            yield
    else:
        mount("cgroup2", str(CGROUPS), "cgroup2")
        try:
            yield
        finally:
            umount(str(CGROUPS), MNT_DETACH)


@pytest.fixture(params=HAD, ids=["-".join(case) for case in HAD])
async def place(
    request: pytest.FixtureRequest, tmp_path: Path, confined_root: Path, cgroup_parent: str
) -> AsyncIterator[Place]:
    kind, program = request.param
    with seen_as(kind):
        settings = Settings(
            data_dir=tmp_path / "data",
            run_dir=tmp_path / "run",
            socket=tmp_path / "socket",
            log_file=tmp_path / "log",
            runtime=program,
            cgroup_parent=cgroup_parent,
        )
        assert layout() == kind
        runtime = await choose_runtime(settings)
        yield Place(runtime, tmp_path, confined_root, cgroup_parent)
        remove_cgroup(cgroup_parent)


async def test_a_container_has_a_group_of_its_own_everywhere_and_leaves_none(place: Place) -> None:
    async with place.running("sleep", "600") as container:
        groups = control_groups(container.pid, container.id)
        # Of a tree that is not in sight nothing can be said.
        seen = {"v1": set(groups) - {""}, "hybrid": set(groups), "v2": {""}}[layout()]
        assert seen
        for directory in (groups[controller] for controller in seen):
            assert directory.is_dir()
            assert container.id in str(directory)
            assert str(container.pid) in (directory / "cgroup.procs").read_text().split()
        if "v2" not in (layout(), NATIVE) or layout() == NATIVE:
            assert read_usage(container.pid, container.id).cpu.total_ns > 0
    gone = [d for d in cgroup_directories(f"{place.cgroup_parent}/{container.id}") if d.exists()]
    assert gone == []


async def test_a_container_sees_its_own_group_as_the_top_and_cannot_write_there(
    place: Place,
) -> None:
    lines = await place.output_of(
        "cat /proc/self/cgroup; echo; for d in /sys/fs/cgroup /sys/fs/cgroup/*; do"
        " test -e $d/cgroup.procs && { cat $d/cgroup.procs; mkdir $d/x && echo written; }; done"
        " 2>/dev/null; true"
    )
    end = lines.index("")
    assert all(re.fullmatch(r"\d+:[^:]*:/", line) for line in lines[:end] if line), lines
    # Nothing but the container's processes, by their numbers inside.
    pids = {int(line) for line in lines[end + 1 :]}
    assert 1 in pids
    assert max(pids) < 100


async def test_nodes_that_a_container_makes_do_not_open(place: Place) -> None:
    script = (
        "rm -f /tmp/node; mknod /tmp/node c 1 1 && (exec 3</tmp/node) 2>/dev/null && echo opened;"
        "rm -f /tmp/node; mknod /tmp/node c 1 3 && (exec 3</tmp/node) && echo null; rm /tmp/node"
    )
    assert await place.output_of(script) == ["null"]
    # And where everything is permitted, the same node does open.
    opened = await place.output_of(script, privileged=True)
    assert opened == (["opened", "null"] if Path("/dev/mem").exists() else ["null"])


async def test_a_frozen_container_is_told(place: Place) -> None:
    async with place.running("sleep", "600") as container:
        assert not is_frozen(container.pid, container.id)
        await place.runtime.pause(container.id)
        assert is_frozen(container.pid, container.id)
        await place.runtime.resume(container.id)
        assert not is_frozen(container.pid, container.id)


async def test_limits_reach_the_hierarchies_that_have_their_controllers(place: Place) -> None:
    if layout() == "v2" and NATIVE != "v2":
        assert "memory" not in (CGROUPS / "cgroup.controllers").read_text().split()
        return
    limits = Resources(memory_bytes=64 << 20, pids_limit=50, nano_cpus=500_000_000)
    async with place.running("sleep", "600", resources=limits) as container:
        usage = read_usage(container.pid, container.id)
    assert (usage.memory.limit_bytes, usage.pids_limit) == (64 << 20, 50)


def test_this_layout_is_told() -> None:
    assert read_host().layout == NATIVE
