"""Device nodes of a container, and which ones its cgroup lets it use."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import Failed, InvalidInput

# null zero full random urandom tty console ptmx and terminals: what every container may use.
_ALLOWED = ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, None))
# Made by the runtime itself, or meaningful only in the machine's own /dev.
_NOT_COPIED = ("/dev/pts", "/dev/shm", "/dev/fd", "/dev/mqueue", "/dev/console", "/dev/.lxc")


# Docker's form: type, major:minor with `*` for any, rights.
_RULE = re.compile(r"(?P<type>[acb]) (?P<major>\d+|\*):(?P<minor>\d+|\*) (?P<access>[rwm]{1,3})")


def device_rules(
    devices: Sequence[dict[str, Any]], *, privileged: bool, more: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """The cgroup's device rules: nothing but the harmless ones, `devices` and what `more` allows:
    rules such as `c 10:* rwm`.

    Raises: InvalidInput: a rule of `more` is malformed.
    Source: OCI runtime specification, "Allowed Device list"; the kernel's cgroup-v1/devices.
    """
    if privileged:
        return [{"allow": True, "access": "rwm"}]
    rules: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    rules += [{"allow": True, "type": kind, "access": "m"} for kind in ("c", "b")]
    for major, minor in _ALLOWED:
        rule = {"allow": True, "type": "c", "major": major, "access": "rwm"}
        rules.append(rule if minor is None else {**rule, "minor": minor})
    for device in devices:
        kept = {key: device[key] for key in ("type", "major", "minor")}
        rules.append({"allow": True, **kept, "access": device["access"]})
    return [*rules, *map(_rule, more)]


def _rule(text: str) -> dict[str, Any]:
    if (found := _RULE.fullmatch(text.strip())) is None:
        raise InvalidInput(
            f"malformed device rule {text!r}",
            code="device-rule-invalid",
            about=text,
            hint="write TYPE MAJOR:MINOR RIGHTS, for example `c 10:* rwm`",
        )
    numbers = {key: int(found[key]) for key in ("major", "minor") if found[key] != "*"}
    return {"allow": True, "type": found["type"], **numbers, "access": found["access"]}


def devices_asked_for(devices: Sequence[str]) -> list[dict[str, Any]]:
    """The nodes for `HOST[:CONTAINER[:RIGHTS]]`, each with `access`; a directory gives all in it.

    Raises: InvalidInput: malformed; Failed: no such device on this machine.
    """
    found: list[dict[str, Any]] = []
    for text in devices:
        host, target, access = _parts(text)
        nodes = sorted(Path(host).rglob("*")) if Path(host).is_dir() else [Path(host)]
        made = [_node(n, target + str(n).removeprefix(host), access) for n in nodes]
        devices_there = [m for m in made if m is not None]
        if not devices_there:
            raise Failed(
                f"no device {host} on this machine",
                code="no-such-device",
                about=text,
                hint="look in /dev for its name",
            )
        found += devices_there
    return found


def every_device() -> list[dict[str, Any]]:
    """Every node in the machine's /dev, for privileged containers."""
    return list(_below("/dev"))


def _below(top: str) -> Iterator[dict[str, Any]]:
    with os.scandir(top) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            if entry.path.startswith(_NOT_COPIED) or entry.is_symlink():
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path)
            elif (node := _node(Path(entry.path), entry.path, "rwm")) is not None:
                yield node


def _parts(text: str) -> tuple[str, str, str]:
    host, *rest = text.split(":")
    target, access = host, "rwm"
    if len(rest) == 1 and not rest[0].startswith("/"):
        access = rest[0]
    elif rest:
        target, access = rest[0], rest[1] if len(rest) > 1 else "rwm"
    bad = not host.startswith("/") or not target.startswith("/") or not access
    if bad or len(rest) > 2 or set(access) - set("rwm"):
        raise InvalidInput(
            f"malformed device {text!r}",
            code="device-invalid",
            about=text,
            hint="write HOST_PATH[:CONTAINER_PATH[:rwm]]",
        )
    return host, target, access


def _node(path: Path, target: str, access: str) -> dict[str, Any] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    if not (stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)):
        return None
    return {
        "path": target,
        "type": "c" if stat.S_ISCHR(status.st_mode) else "b",
        "major": os.major(status.st_rdev),
        "minor": os.minor(status.st_rdev),
        "fileMode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
        "access": access,
    }
