"""The OCI bundle of a container: its `config.json`, decided here and written whole or not at all.

Source: OCI runtime specification; the defaults are Docker's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.model.container import ContainerSpec, Mount
from orchestrator.model.ids import short_id
from orchestrator.model.image import ImageConfig
from orchestrator.model.observed import Container
from orchestrator.model.process import process_args
from orchestrator.runtime.capabilities import effective_capabilities
from orchestrator.runtime.confine import confine
from orchestrator.runtime.devices import device_rules, devices_asked_for, every_device
from orchestrator.runtime.filesystem import (
    INIT,
    READ_ONLY,
    container_mounts,
    masked_paths,
    root_propagation,
)
from orchestrator.runtime.host import Host, read_host
from orchestrator.runtime.kernel_limits import missing_limits
from orchestrator.runtime.landing import check_landing, landing
from orchestrator.runtime.limits import resources, rlimits
from orchestrator.runtime.paths import Bundle
from orchestrator.runtime.security import Security, security_of
from orchestrator.runtime.user import User

__all__ = ["Bundle", "exec_process", "oci_config", "read_process", "write_bundle"]

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# mount_setattr(2) with AT_RECURSIVE.
_RECURSIVE_READ_ONLY = (5, 12)
# The kind of namespace as the OCI specification names it; all but a listed one are the container's.
_NAMESPACES = ("pid", "ipc", "uts", "network", "cgroup")


def oci_config(
    container: Container,
    image: ImageConfig,
    *,
    user: User,
    mounts: Sequence[tuple[Mount, str]],
    files: Path,
    rootfs: Path,
    cgroups_path: str,
    namespaces: Mapping[str, str],
    init: str = "/usr/bin/catatonit",
    shm: str = "",
    hostname: str = "",
    linked: Mapping[str, str] | None = None,
    host: Host | None = None,
) -> dict[str, Any]:
    """The OCI configuration for one container.

    `mounts` pair each mount with its host path; `files` is the directory of the container's own
    `hosts`, `hostname` and `resolv.conf`; `namespaces` maps the kinds that are not its own to a
    path, or to "" for the machine's; `init` is the program put before the command when the
    specification asks for one; `shm` the host path of a /dev/shm that is not its own, or "";
    `hostname` is the specification's where ""; `linked` are variables that any other of the
    same name replaces.

    Raises: InvalidInput: no command, or an unknown capability, ulimit, security option, or
    malformed device or seccomp profile; Failed: no such device.
    """
    spec = container.spec
    host = host or read_host()
    hostname = hostname or spec.hostname or short_id(container.id)
    security = security_of(spec)
    open_paths = security.open_system_paths
    asked = devices_asked_for(spec.devices)
    nodes = every_device() if spec.privileged else []
    taken = {d["path"] for d in asked}
    devices = [*asked, *(d for d in nodes if d["path"] not in taken)]
    linux: dict[str, Any] = {
        "cgroupsPath": cgroups_path,
        "namespaces": _namespaces(namespaces),
        "resources": {
            **resources(spec.resources, host, missing_limits(host.layout)),
            "devices": device_rules(
                asked, privileged=spec.privileged, more=spec.device_cgroup_rules
            ),
        },
        "maskedPaths": _hidden(spec.masked_paths, masked_paths(), open_paths),
        "readonlyPaths": _hidden(spec.readonly_paths, READ_ONLY, open_paths),
        "devices": [{k: v for k, v in d.items() if k != "access"} for d in devices],
        "sysctl": _sysctls(spec, namespaces),
    }
    if propagation := root_propagation(mounts):
        linux["rootfsPropagation"] = propagation
    config: dict[str, Any] = {
        "ociVersion": "1.0.2",
        "process": _process(container, image, user, host, security, hostname, linked or {}),
        "root": {"path": str(rootfs), "readonly": spec.read_only},
        "mounts": container_mounts(
            spec,
            mounts,
            files=files,
            init=init if spec.init else "",
            shm=shm,
            recursive=host.kernel >= _RECURSIVE_READ_ONLY,
        ),
        "linux": linux,
    }
    if "uts" not in namespaces:
        config["hostname"] = hostname
    if spec.annotations:
        config["annotations"] = dict(spec.annotations)
    for mount in config["mounts"]:
        mount["destination"] = landing(rootfs, mount["destination"])
        check_landing(mount["destination"], mount["type"])
    confine(config, container, security, host)
    return config


def write_bundle(bundle: Bundle, config: Mapping[str, Any]) -> None:
    """Write the bundle's `config.json`, whole or not at all.

    No fsync: the bundle does not outlive the machine's run, only the engine's.
    """
    bundle.path.mkdir(parents=True, exist_ok=True)
    half = bundle.path / "config.json.half"
    half.write_bytes(json.dumps(config).encode())
    half.rename(bundle.config)


def exec_process(
    process: Mapping[str, Any],
    args: Sequence[str],
    *,
    env: Sequence[str] = (),
    user: User | None = None,
    cwd: str = "",
    terminal: bool = False,
    privileged: bool = False,
) -> dict[str, Any]:
    """The OCI process for one more command in a container, from the container's own `process`.

    `env` are `NAME=value` that win over the container's; without `user` and `cwd` they are the
    container's.
    """
    found = {**process, "args": list(args), "terminal": terminal}
    found.pop("consoleSize", None)
    variables = dict(entry.partition("=")[::2] for entry in process.get("env", ()))
    variables.update(entry.partition("=")[::2] for entry in env)
    if user is not None:
        found["user"] = _oci_user(user)
        if user.home and not any(entry.startswith("HOME=") for entry in env):
            variables["HOME"] = user.home
        bounding = process.get("capabilities", {}).get("bounding", [])
        found["capabilities"] = _capability_sets(bounding, user.uid)
    if privileged:
        everything = [f"CAP_{name}" for name in sorted(read_host().capabilities)]
        found["capabilities"] = _capability_sets(everything, found["user"]["uid"])
    if terminal:
        variables.setdefault("TERM", "xterm")
    found["env"] = [f"{name}={value}" for name, value in variables.items()]
    if cwd:
        found["cwd"] = cwd
    return found


def read_process(config: Path) -> dict[str, Any]:
    """The `process` in a bundle's `config.json`.  Raises: OSError: there is no such file."""
    process: dict[str, Any] = json.loads(config.read_bytes())["process"]
    return process


def _process(
    container: Container,
    image: ImageConfig,
    user: User,
    host: Host,
    security: Security,
    hostname: str,
    linked: Mapping[str, str],
) -> dict[str, Any]:
    spec = container.spec
    args = process_args(spec, image)
    names = effective_capabilities(
        spec.cap_add, spec.cap_drop, host.capabilities, privileged=spec.privileged
    )
    process: dict[str, Any] = {
        "terminal": spec.tty,
        "user": _oci_user(user),
        "args": [INIT, "--", *args] if spec.init else args,
        "env": _environment(container, image, user, hostname, linked),
        "cwd": spec.working_dir or image.working_dir or "/",
        "capabilities": _capability_sets(names, user.uid),
        "rlimits": rlimits(spec.resources.ulimits, host),
        "noNewPrivileges": security.no_new_privileges,
    }

    if spec.tty and all(spec.console_size):
        rows, columns = spec.console_size
        process["consoleSize"] = {"height": rows, "width": columns}
    if spec.oom_score_adj or host.oom_score_adj < 0:
        # The engine's own must not be inherited, or its containers would outlive the machine's
        # other programs.
        process["oomScoreAdj"] = spec.oom_score_adj
    return process


def _hidden(wanted: Sequence[str] | None, usual: Sequence[str], open_paths: bool) -> list[str]:
    if open_paths:
        return []
    return list(usual if wanted is None else wanted)


def _environment(
    container: Container, image: ImageConfig, user: User, hostname: str, linked: Mapping[str, str]
) -> list[str]:
    variables = {"PATH": _PATH, "HOSTNAME": hostname, **linked}
    if container.spec.tty:
        variables["TERM"] = "xterm"
    variables.update(entry.partition("=")[::2] for entry in image.environment)
    variables.update(container.spec.environment)
    for name in container.spec.unset_environment:
        variables.pop(name, None)
    variables.setdefault("HOME", user.home)
    return [f"{name}={value}" for name, value in variables.items()]


def _oci_user(user: User) -> dict[str, Any]:
    return {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups)}


def _capability_sets(names: Sequence[str], uid: int) -> dict[str, list[str]]:
    # An ordinary user has none in effect, as after execve; the bounding set still lets set-user-ID
    # programs have them.
    held = list(names) if uid == 0 else []
    return {"bounding": list(names), "effective": held, "permitted": held}


def _namespaces(joined: Mapping[str, str]) -> list[dict[str, str]]:
    found = [{"type": "mount"}]
    for kind in _NAMESPACES:
        if kind not in joined:
            found.append({"type": kind})
        elif joined[kind]:
            found.append({"type": kind, "path": joined[kind]})
    return found


def _sysctls(spec: ContainerSpec, joined: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    if "network" not in joined:
        # Low ports and ping need no privilege inside a network of one's own.
        found["net.ipv4.ip_unprivileged_port_start"] = "0"
        found["net.ipv4.ping_group_range"] = "0 2147483647"
    if spec.domainname and "uts" not in joined:
        found["kernel.domainname"] = spec.domainname
    return {**found, **spec.sysctls}
