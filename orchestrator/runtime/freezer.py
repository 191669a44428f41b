"""Whether a container is frozen, as the kernel says.

Source: the kernel's admin-guide/cgroup-v1/freezer-subsystem.rst; cgroup-v2.rst, "cgroup.freeze".
"""

from __future__ import annotations

from contextlib import suppress

from orchestrator.runtime.stats import control_groups


def is_frozen(pid: int, identifier: str) -> bool:
    """Whether no process of the container gets any time (blocking); False when it has ended."""
    try:
        groups = control_groups(pid, identifier)
    except ProcessLookupError:
        return False
    for controller, file, sign in (
        ("freezer", "freezer.state", "FROZEN"),
        ("", "cgroup.freeze", "1"),
    ):
        if controller in groups:
            with suppress(OSError):
                if (groups[controller] / file).read_text().strip().startswith(sign):
                    return True
    return False
