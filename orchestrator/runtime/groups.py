"""The control groups of one running container: where they are, and what the runtimes do not tell
or do of them.

Source: cgroups(7); the kernel's admin-guide/cgroup-v1/freezer-subsystem.rst and pids.rst;
cgroup-v2.rst.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from orchestrator.runtime.cgroups import CGROUPS


def control_groups(pid: int, identifier: str) -> dict[str, Path]:
    """The container's directory in each hierarchy, by controller; "" is the one of v2.

    A container may have moved its first process to a group below its own, so the path is cut
    after the part that has the container's id.
    Raises: ProcessLookupError.  Source: cgroups(7), /proc/PID/cgroup.
    """
    found: dict[str, Path] = {}
    try:
        text = Path(f"/proc/{pid}/cgroup").read_text()
    except FileNotFoundError:
        raise ProcessLookupError(pid) from None
    v2 = (CGROUPS / "cgroup.controllers").exists()
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        inside = _own_part(path, identifier)
        if not controllers:
            # Beside v1 the unified hierarchy counts nothing, and may be out of sight here.
            if v2:
                found[""] = CGROUPS / inside
            continue
        for controller in controllers.split(","):
            if not controller.startswith("name="):
                found[controller] = _mounted(controllers, controller) / inside
    return found


def _own_part(path: str, identifier: str) -> str:
    parts = path.strip("/").split("/")
    for number, part in enumerate(parts):
        if identifier in part:
            return "/".join(parts[: number + 1])
    return path.strip("/")


def _mounted(controllers: str, controller: str) -> Path:
    together = CGROUPS / controllers
    return together if together.is_dir() else CGROUPS / controller


def is_frozen(pid: int, identifier: str) -> bool:
    """Whether no process of the container gets any time (blocking); False when it has ended."""
    try:
        groups = control_groups(pid, identifier)
    except ProcessLookupError:
        return False
    for controller, file, sign in (
        # Some runtimes do not wait until v1 is done with it: it is FREEZING first.
        ("freezer", "freezer.state", "FR"),
        ("", "cgroup.freeze", "1"),
    ):
        if controller in groups:
            with suppress(OSError):
                if (groups[controller] / file).read_text().strip().startswith(sign):
                    return True
    return False


def lift_pids(pid: int, identifier: str) -> None:
    """Nothing, once the number of the container's processes is not limited (blocking)."""
    try:
        groups = control_groups(pid, identifier)
    except ProcessLookupError:
        return
    group = groups.get("pids", groups.get(""))
    if group is not None:
        with suppress(FileNotFoundError):
            (group / "pids.max").write_text("max")
