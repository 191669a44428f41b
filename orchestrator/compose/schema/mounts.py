"""The short forms of what is mounted: `volumes`, `devices`, `configs`, `secrets`."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from orchestrator.compose.node import Node
from orchestrator.compose.schema.kinds import Reading

VOLUME_FORM = "a volume such as data:/var/lib/data or a mapping"
PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")
_SELINUX = ("z", "Z")


def is_path(source: str) -> bool:
    """Whether a short form's source is a path; if not, it names a volume."""
    return source.startswith((".", "/", "~"))


def long_volume(node: Node, at: str, reading: Reading) -> list[Node]:
    """The long form of [SOURCE:]TARGET[:OPTION,...].

    Source: compose specification, "volumes", short syntax.
    """
    parts = node.string.split(":")
    if not isinstance(node.value, str):
        return [reading.expected(node, at, VOLUME_FORM)]
    if not all(parts) or len(parts) > 3:
        return [
            reading.findings.refuse(
                node, at, f'"{node.value}" is not a volume', "write [SOURCE:]TARGET[:OPTIONS]"
            )
        ]
    if len(parts) == 1:
        return [node.holding({"type": "volume", "target": parts[0], "volume": {}})]
    source, target, *rest = parts
    long: dict[str, Any] = {
        "type": "bind" if is_path(source) else "volume",
        "source": source,
        "target": target,
    }
    long[long["type"]] = {"create_host_path": True} if is_path(source) else {}
    for option in rest[0].split(",") if rest else ():
        if not _add_option(long, option):
            reading.findings.warn(
                node.mark, at, f'unknown option "{option}": it has no effect (ro, rw, nocopy have)'
            )
    return [node.holding(long)]


def _add_option(long: dict[str, Any], option: str) -> bool:
    if option in ("ro", "rw"):
        long["read_only"] = option == "ro"
    elif option == "nocopy":
        long.setdefault("volume", {})["nocopy"] = True
    elif option in PROPAGATIONS:
        long.setdefault("bind", {})["propagation"] = option
    elif option in _SELINUX:
        long.setdefault("bind", {})["selinux"] = option
    else:
        return option in ("cached", "delegated", "consistent", "default")  # macOS only
    return True


def with_absolute_source(mount: Node, reading: Reading) -> Node:
    """A bind mount's source is a path on this machine; any other kind's is a name."""
    kind, source = mount.get("type"), mount.get("source")
    if kind is None or kind.value != "bind" or source is None or not source.string:
        return mount
    absolute = source.holding(reading.absolute(source.string))
    return mount.holding({**mount.entries, "source": absolute})


def volume_identity(mount: Node) -> Hashable:
    """Two mounts on one target are the same thing, when files are merged."""
    target = mount.get("target")
    return target.string.rstrip("/") if target and target.string else id(mount)


def long_device(node: Node, at: str, reading: Reading) -> list[Node]:
    """The long form of SOURCE[:TARGET[:PERMISSIONS]]."""
    parts = node.string.split(":")
    if not isinstance(node.value, str) or not all(parts) or len(parts) > 3:
        return [reading.expected(node, at, "a device such as /dev/fuse:/dev/fuse:rwm")]
    source = parts[0]
    target = parts[1] if len(parts) > 1 else source
    permissions = parts[2] if len(parts) > 2 else "rwm"
    return [node.holding({"source": source, "target": target, "permissions": permissions})]


def device_identity(device: Node) -> Hashable:
    target = device.get("target") or device.get("source")
    return target.string if target and target.string else id(device)


def long_grant(node: Node, at: str, reading: Reading) -> list[Node]:
    """The long form of a config's or secret's bare name."""
    if not isinstance(node.value, str):
        return [reading.expected(node, at, "a name or a mapping")]
    return [node.holding({"source": node.value})]


def grant_identity(directory: str) -> Callable[[Node], Hashable]:
    """Identity of a config or secret in a container: the file it becomes."""

    def identity(grant: Node) -> Hashable:
        target, source = grant.get("target"), grant.get("source")
        name = (target or source or grant).string
        if not name:
            return id(grant)
        return name if name.startswith("/") else f"{directory}/{name}"

    return identity
