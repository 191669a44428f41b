"""Where a container's mounts land in its root, whatever links its image has there.

The answer is a path without links, so that neither runtime has to follow one, and those that lead
to nothing yet (`/etc/resolv.conf` of many images) are made where they point, inside the root.
"""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import InvalidInput

_MOST_LINKS = 40
# What may be replaced below /proc: files that only tell something, as LXCFS does. Anything else
# there decides over processes, and a runtime that writes to it must not be misled.
_TELLING = (
    *("/proc/cpuinfo", "/proc/diskstats", "/proc/loadavg", "/proc/meminfo", "/proc/net/dev"),
    *("/proc/slabinfo", "/proc/stat", "/proc/swaps", "/proc/uptime"),
    *("/proc/sys/crypto/fips_enabled", "/proc/sys/kernel/ns_last_pid"),
)


def landing(rootfs: Path, target: str) -> str:
    """The place of `target` in the tree `rootfs`, as an absolute path with every link followed as
    if the tree were the whole machine; parts that do not exist stay as they are.

    Raises: InvalidInput: the links go in circles.
    """
    todo = [part for part in reversed(target.split("/")) if part not in ("", ".")]
    found: list[str] = []
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            found = found[:-1]
            continue
        try:
            link = rootfs.joinpath(*found, part).readlink()
        except OSError:
            found.append(part)
            continue
        if (links := links + 1) > _MOST_LINKS:
            raise _refused(target, "its links go in circles")
        if link.is_absolute():
            found = []
        todo += [part for part in reversed(str(link).split("/")) if part not in ("", ".")]
    return "/" + "/".join(found)


def check_landing(target: str, kind: str) -> None:
    """Raises: InvalidInput: a mount at this place (without links) would deceive whoever relies on
    /proc; `kind` is the file system's type."""
    inside = target == "/proc" or target.startswith("/proc/")
    if not inside or target in _TELLING or (target == "/proc" and kind == "proc"):
        return
    raise _refused(target, "it is inside /proc")


def _refused(target: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"nothing can be mounted at {target}: {why}",
        code="mount-target-refused",
        about=target,
        hint="choose another place in the container",
    )
