"""SELinux labels of containers and of what they mount, where the machine enforces them.

A container's categories are derived from its id, so they are the same at every start and no two
containers can touch each other's files; nothing has to be remembered.
Source: selinux(8), "Multi-Category Security"; lxc_contexts of the container policy; Docker's
`label=` options and the mount options `z` and `Z`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InvalidInput
from orchestrator.model.container import Mount

_ENFORCING = Path("/sys/fs/selinux/enforce")
_CONFIG = Path("/etc/selinux/config")
_CATEGORIES = 1024
_FILES = ("hosts", "hostname", "resolv.conf")
_ATTRIBUTE = "security.selinux"
# Labels of these belong to the machine; with a container's, it would not boot any more.
_NEVER = (
    *("/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/proc", "/root", "/run"),
    *("/sbin", "/sys", "/tmp", "/usr", "/var"),
)


@dataclass(frozen=True, slots=True)
class Contexts:
    """The policy's labels for a container's processes and files, without categories."""

    process: str
    file: str


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of one container; both "" where it has none."""

    process: str = ""
    mount: str = ""


def read_contexts() -> Contexts | None:
    """The labels that this machine's policy has for containers; None without SELinux or those."""
    if not _ENFORCING.exists():
        return None
    try:
        lines = _CONFIG.read_text().splitlines()
        kind = next(x.partition("=")[2].strip() for x in lines if x.startswith("SELINUXTYPE="))
        text = Path(f"/etc/selinux/{kind}/contexts/lxc_contexts").read_text()
    except (OSError, StopIteration):
        return None
    return parse_contexts(text)


def parse_contexts(text: str) -> Contexts | None:
    """The `process` and `file` entries of an lxc_contexts file; None where one is missing. Pure."""
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    found = {name.strip(): value.strip().strip('"') for name, _, value in pairs}
    if not found.get("process") or not found.get("file"):
        return None
    return Contexts(found["process"], found["file"])


def labels_for(contexts: Contexts | None, identifier: str, options: Sequence[str]) -> Labels:
    """The labels of the container with this id and these `label=` options. Pure."""
    if contexts is None or "disable" in options:
        return Labels()
    process, mount = contexts.process.split(":", 3), contexts.file.split(":", 3)
    process[3:] = mount[3:] = [f"s0:{categories(identifier)}"]
    for option in options:
        name, _, value = option.partition(":")
        match name:
            case "user":
                process[0] = value
            case "role":
                process[1] = value
            case "type":
                process[2] = value
            case "filetype":
                mount[2] = value
            case "level":
                process[3:] = mount[3:] = [value]
    return Labels(":".join(process), ":".join(mount))


def categories(identifier: str) -> str:
    """Two different categories for the container with this id, as `c1,c2`. Pure."""
    number = int.from_bytes(hashlib.sha256(identifier.encode()).digest()[:8])
    first = number % _CATEGORIES
    second = (first + 1 + number // _CATEGORIES % (_CATEGORIES - 1)) % _CATEGORIES
    return f"c{min(first, second)},c{max(first, second)}"


def shared(label: str) -> str:
    """The label without its categories: for what several containers use. Pure."""
    return ":".join([*label.split(":", 3)[:3], "s0"])


def relabel_all(labels: Labels, files: Path, binds: Sequence[tuple[Mount, str]]) -> None:
    """Label what a container sees of the machine: its own `files`, its volumes (which others may
    share) and the binds that ask for it. Blocking; nothing where it has no labels.

    Raises: InvalidInput: a directory of the machine's own; OSError.
    """
    if not labels.mount:
        return
    for name in _FILES:
        if (files / name).exists():
            relabel(files / name, labels.mount)
    for mount, source in binds:
        if mount.kind == "volume" or mount.relabel == "z":
            relabel(Path(source), shared(labels.mount))
        elif mount.relabel == "Z":
            relabel(Path(source), labels.mount)


def relabel(path: Path, label: str) -> None:
    """Give the tree at `path` that label; links are labelled, not followed. Blocking.

    Raises: InvalidInput: a directory of the machine's own; OSError.
    """
    if str(path) in _NEVER:
        raise InvalidInput(
            f"{path} is the machine's own and keeps its SELinux labels",
            code="relabel-refused",
            about=str(path),
            hint="mount a directory of your own with z or Z",
        )
    value = label.encode() + b"\0"
    os.setxattr(path, _ATTRIBUTE, value, follow_symlinks=False)
    for top, directories, files in os.walk(path):
        for name in (*directories, *files):
            os.setxattr(os.path.join(top, name), _ATTRIBUTE, value, follow_symlinks=False)  # noqa: PTH118
