"""Containers with the defaults, as a test of confinement wants them, by either runtime."""

from __future__ import annotations

import ctypes
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from orchestrator.model.container import Mount
from orchestrator.runtime.choose import choose_runtime
from orchestrator.settings import Settings
from tests.support.containers import Place, make_root, without_unified_hierarchy
from tests.support.isolation import Isolation

# The machine's programs, read-only: perl among them, which makes any system call.
LENT = tuple(
    Mount(kind="bind", target=f"/{name}", source=f"/{name}", read_only=True)
    for name in ("usr", "lib", "lib64")
    if Path("/", name).exists()
)


@pytest.fixture(scope="session")
def confined_root(isolation: Isolation) -> Path:
    """A root for containers, where nodes and set-user-ID programs count, as /tmp may not let."""
    return make_root(isolation.work_dir / "confined")


@pytest.fixture(params=["crun", "runc"])
async def confined(
    request: pytest.FixtureRequest, tmp_path: Path, confined_root: Path, cgroup_parent: str
) -> AsyncIterator[Place]:
    """Where containers of that runtime can be made, on the machine's own layout of cgroups."""
    settings = Settings(
        data_dir=tmp_path / "data",
        run_dir=tmp_path / "run",
        socket=tmp_path / "socket",
        log_file=tmp_path / "log",
        runtime=request.param,
        cgroup_parent=cgroup_parent,
    )
    with without_unified_hierarchy():
        runtime = await choose_runtime(settings)
        yield Place(runtime, tmp_path, confined_root, cgroup_parent)


def call_number(call: str) -> int:
    """The number of a system call on this machine."""
    library = ctypes.CDLL("libseccomp.so.2")
    return int(library.seccomp_syscall_resolve_name(call.encode()))


def calling(tries: Mapping[str, str]) -> str:
    """A shell script that makes each call with those arguments (perl), in that order, and prints
    its name and errno (0 where it succeeds)."""
    lines = []
    for call, arguments in tries.items():
        # From an array, because perl lends the kernel no constant strings.
        lines.append(
            f"@a = ({call_number(call)}, {arguments}); $! = 0; $r = syscall(shift @a, @a);"
            f' exit 0 if "{call}" eq "clone" && $r == 0;'
            f' print "{call} ", ($r == -1 ? $! + 0 : 0), "\\n";'
        )
    return perl("$| = 1; " + " ".join(lines))


def perl(program: str) -> str:
    """A shell script that becomes perl with that program."""
    return "exec perl -e '" + program.replace("'", "'\\''") + "'"
