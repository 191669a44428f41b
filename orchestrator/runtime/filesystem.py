"""The mounts that make up a container's view. Pure, but looks whether files exist."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.model.container import ContainerSpec, Mount
from orchestrator.runtime.security import security_of

INIT = "/sbin/docker-init"

MASKED = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

# One for each processor that has it: heat tells what other processors work on.
_THERMAL = "devices/system/cpu/cpu[0-9]*/thermal_throttle"

_SAFE = ("nosuid", "noexec", "nodev")
_PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")


def masked_paths(sysfs: Path = Path("/sys")) -> tuple[str, ...]:
    """What a container is not to see, as Docker has it: MASKED, and this machine's processors."""
    return (*MASKED, *sorted(f"/sys/{p.relative_to(sysfs)}" for p in sysfs.glob(_THERMAL)))


def container_mounts(
    spec: ContainerSpec,
    mounts: Sequence[tuple[Mount, str]],
    *,
    files: Path,
    init: str,
    shm: str = "",
    recursive: bool = True,
) -> list[dict[str, Any]]:
    """Every mount in the order in which the runtime makes them, parents before children.

    `mounts` are the container's with the host path of each; one of them replaces a built-in mount
    at the same place. `files` has `hosts`, `hostname` and `resolv.conf` where they are wanted;
    `init` is the init program's host path, or ""; `shm` that of somebody else's /dev/shm, or "" for
    one of the container's own. `recursive`: this kernel can make a whole tree read-only.
    """
    found = {m["destination"]: m for m in _built_in(spec, shm)}
    for name in ("resolv.conf", "hostname", "hosts"):
        if (files / name).exists():
            found[f"/etc/{name}"] = _bind(str(files / name), f"/etc/{name}", ())
    if init:
        found[INIT] = _bind(init, INIT, ("ro",))
    for mount, source in mounts:
        target = _cleaned(mount.target)
        found.pop(target, None)
        found[target] = _asked_for(mount, source, target, recursive)
    # Stable, so built-in mounts keep their order among those as deep as they are.
    return sorted(found.values(), key=lambda m: _depth(m["destination"]))


def root_propagation(mounts: Sequence[tuple[Mount, str]]) -> str:
    """What the whole root's propagation must be for the mounts' own to have an effect."""
    wanted = {mount.propagation.removeprefix("r") for mount, _ in mounts}
    if "shared" in wanted:
        return "shared"
    return "slave" if "slave" in wanted else ""


def _built_in(spec: ContainerSpec, shm: str) -> list[dict[str, Any]]:
    read_only = () if spec.privileged else ("ro",)
    own_groups = () if security_of(spec).writable_cgroups else ("ro",)
    tmpfs = ("nosuid", "strictatime", "mode=755", "size=65536k")
    terminals = ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")
    found = [
        _mount("/proc", "proc", "proc", _SAFE),
        _mount("/dev", "tmpfs", "tmpfs", tmpfs),
        _mount("/dev/pts", "devpts", "devpts", terminals),
        _mount("/sys", "sysfs", "sysfs", (*_SAFE, *read_only)),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", (*_SAFE, "relatime", *own_groups)),
        _mount("/dev/mqueue", "mqueue", "mqueue", _SAFE),
    ]
    if shm:
        found.append(_bind(shm, "/dev/shm", ()))
    elif spec.ipc_mode != "none":
        size = spec.shm_size_bytes or 64 << 20
        found.append(_mount("/dev/shm", "tmpfs", "shm", (*_SAFE, "mode=1777", f"size={size}")))
    return found


def _asked_for(mount: Mount, source: str, target: str, recursive: bool) -> dict[str, Any]:
    if mount.kind == "tmpfs":
        return _mount(target, "tmpfs", "tmpfs", _tmpfs_options(mount))
    propagation = mount.propagation if mount.propagation in _PROPAGATIONS else "rprivate"
    options = ["rbind", propagation]
    if mount.recursive == "disabled":
        # A recursive propagation would make crun's bind recursive too.
        options = ["bind", propagation.removeprefix("r")]
    if mount.read_only or mount.kind == "image":
        # What is mounted below the source is read-only too, unless that was not wanted.
        # Nothing is mounted below a file, and crun takes `rro` for directories only.
        alone = not recursive or mount.recursive in ("writable", "disabled")
        options.append("ro" if alone or Path(source).is_file() else "rro")
    return _mount(target, "bind", source, options)


def _tmpfs_options(mount: Mount) -> list[str]:
    """The options of a tmpfs: the careful ones, and what was asked for in the place of each."""
    given = list(mount.tmpfs_options)
    if mount.tmpfs_size_bytes:
        given.append(f"size={mount.tmpfs_size_bytes}")
    given.append(f"mode={mount.tmpfs_mode or 0o1777:o}")
    if mount.read_only:
        given.append("ro")
    options = {_meaning(option): option for option in (*_SAFE, *given)}
    return list(options.values())


def _meaning(option: str) -> str:
    """What an option is about: `exec` and `noexec` are about the same thing."""
    name = option.partition("=")[0]
    return {"ro": "rw"}.get(name, name.removeprefix("no"))


def _mount(target: str, kind: str, source: str, options: Sequence[str]) -> dict[str, Any]:
    return {"destination": target, "type": kind, "source": source, "options": list(options)}


def _bind(source: str, target: str, options: Sequence[str]) -> dict[str, Any]:
    options = options if any(o in _PROPAGATIONS for o in options) else (*options, "rprivate")
    return _mount(target, "bind", source, ("rbind", *options))


def _cleaned(target: str) -> str:
    return posixpath.normpath("/" + target.lstrip("/"))


def _depth(target: str) -> int:
    return len([part for part in target.split("/") if part])
