"""Mounts of a container as Docker's JSON, both ways: Binds, Mounts, Tmpfs, Volumes, VolumesFrom.

Source: the Docker Engine API reference, version 1.45, "HostConfig" and "MountPoint"; Docker's
reference, "docker container run", --volume, --mount and --tmpfs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from orchestrator.errors import InvalidInput
from orchestrator.model.container import Mount, MountKind, Recursion
from orchestrator.model.observed import Volume
from orchestrator.model.quantities import parse_bytes

_KINDS: tuple[MountKind, ...] = ("volume", "bind", "tmpfs", "image")
_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_NAMED = "the name of a volume: two or more letters, digits, dots, dashes and underscores"
_PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
_RELABELS = ("z", "Z")
# The last three are macOS's.
_IGNORED = ("rw", "consistent", "cached", "delegated")
_RECURSIONS: dict[Recursion, str] = {
    "disabled": "NonRecursive",
    "writable": "ReadOnlyNonRecursive",
    "readonly": "ReadOnlyForceRecursive",
}
_OF_MODE = 0o7777


def mounts_from(host: Mapping[str, Any], anonymous: Iterable[str]) -> tuple[Mount, ...]:
    """The mounts in a HostConfig, and a volume without a name at each `anonymous` path that has
    none of them.

    Raises: InvalidInput: malformed, or two at one place.
    """
    mounts = [
        *(_bind(text) for text in host.get("Binds") or ()),
        *(_mount(given) for given in host.get("Mounts") or ()),
        *(_tmpfs(target, text) for target, text in (host.get("Tmpfs") or {}).items()),
    ]
    taken: set[str] = set()
    for mount in mounts:
        place = _checked_target(mount.target).rstrip("/")
        if place in taken:
            raise _invalid(mount.target, "two mounts at the same place", "duplicate-mount")
        taken.add(place)
    without = [Mount(kind="volume", target=_checked_target(a)) for a in anonymous]
    return (*mounts, *(m for m in without if m.target.rstrip("/") not in taken))


def _bind(text: str) -> Mount:
    source, target, *more = text.split(":", 2)
    is_path = source.startswith("/")
    if not is_path and not _VOLUME_NAME.fullmatch(source):
        raise _invalid(text, f"{source!r} is neither an absolute path nor {_NAMED}")
    propagation = ""
    options = more[0].split(",") if more else []
    for option in options:
        if option in _PROPAGATIONS and is_path:
            propagation = option
        elif option not in ("ro", "nocopy", *_RELABELS, *_IGNORED):
            raise _invalid(text, f"no such mode: {option}")
    return Mount(
        kind="bind" if is_path else "volume",
        source=source,
        target=target,
        read_only="ro" in options,
        nocopy="nocopy" in options,
        propagation=propagation,
        create_host_path=is_path,
        relabel=next((option for option in options if option in _RELABELS), ""),
    )


def _mount(given: Mapping[str, Any]) -> Mount:
    kind = given["Type"]
    if kind not in _KINDS:
        raise _invalid(kind, f"no mounts of this type; there are {', '.join(_KINDS)}")
    bind, volume, tmpfs, image = (
        given.get(f"{name}Options") or {} for name in ("Bind", "Volume", "Tmpfs", "Image")
    )
    source = given.get("Source") or given.get("source") or ""
    _check_source(kind, source)
    driver = volume.get("DriverConfig") or {}
    recursive: Recursion = next((how for how, key in _RECURSIONS.items() if bind.get(key)), "")
    return Mount(
        kind=kind,
        source=source,
        target=given["Target"],
        read_only=bool(given.get("ReadOnly")),
        propagation=bind.get("Propagation") or "",
        recursive=recursive,
        create_host_path=bool(bind.get("CreateMountpoint")),
        nocopy=bool(volume.get("NoCopy")),
        subpath=volume.get("Subpath") or image.get("Subpath") or "",
        volume_driver=driver.get("Name") or "",
        volume_options=dict(driver.get("Options") or {}),
        volume_labels=dict(volume.get("Labels") or {}),
        tmpfs_size_bytes=int(tmpfs.get("SizeBytes") or 0),
        tmpfs_mode=int(tmpfs.get("Mode") or 0) & _OF_MODE,
        tmpfs_options=tuple("=".join(words) for words in tmpfs.get("Options") or ()),
    )


def _check_source(kind: str, source: str) -> None:
    if kind == "bind" and not source.startswith("/"):
        raise _invalid(source, "the source of a bind mount is an absolute path")
    if kind == "volume" and source and not _VOLUME_NAME.fullmatch(source):
        raise _invalid(source, f"it is not {_NAMED}")
    if kind == "tmpfs" and source:
        raise _invalid(source, "a tmpfs has no source")
    if kind == "image" and not source:
        raise _invalid(source, "the source of an image mount is the image")


def _tmpfs(target: str, text: str) -> Mount:
    size, mode, read_only = 0, 0, False
    rest = []
    for option in filter(None, (text or "").split(",")):
        name, _, value = option.partition("=")
        if name == "size" and not value.endswith("%"):
            size = parse_bytes(value)
        elif name == "mode":
            mode = int(value, 8)
        elif name == "ro":
            read_only = True
        elif name != "rw":
            rest.append(option)
    return Mount(
        kind="tmpfs",
        target=target,
        read_only=read_only,
        tmpfs_size_bytes=size,
        tmpfs_mode=mode,
        tmpfs_options=tuple(rest),
    )


def _checked_target(target: str) -> str:
    if not target.startswith("/") or not target.strip("/"):
        raise _invalid(target, "the place of a mount is an absolute path other than /")
    return target


def _invalid(about: str, problem: str, code: str = "mount-invalid") -> InvalidInput:
    return InvalidInput(
        f"mount {about}: {problem}",
        code=code,
        about=about,
        hint="write it as VOLUME:/path[:ro], /host/path:/path[:ro], or with --mount",
    )


def binds_shown(mounts: Iterable[Mount]) -> list[str]:
    """HostConfig's Binds: named volumes and host paths that are made when missing."""
    return [_bind_text(m) for m in mounts if _is_bind(m)]


def _is_bind(mount: Mount) -> bool:
    plain = not (
        mount.subpath or mount.recursive or mount.volume_driver or mount.volume_options
        or mount.volume_labels
    )  # fmt: skip
    made = mount.kind == "bind" and mount.create_host_path
    return plain and (made or (mount.kind == "volume" and bool(mount.source)))


def _bind_text(mount: Mount) -> str:
    options = ["ro"] if mount.read_only else []
    options += ["nocopy"] if mount.nocopy else []
    options += [mount.relabel] if mount.relabel else []
    options += [mount.propagation] if mount.propagation else []
    return ":".join([mount.source, mount.target, *([",".join(options)] if options else [])])


def tmpfs_shown(mounts: Iterable[Mount]) -> dict[str, str]:
    """HostConfig's Tmpfs."""
    return {m.target: ",".join(_tmpfs_options(m)) for m in mounts if m.kind == "tmpfs"}


def _tmpfs_options(mount: Mount) -> Iterator[str]:
    yield from ("ro",) if mount.read_only else ()
    yield from mount.tmpfs_options
    if mount.tmpfs_size_bytes:
        yield f"size={mount.tmpfs_size_bytes}"
    if mount.tmpfs_mode:
        yield f"mode={mount.tmpfs_mode:o}"


def mounts_shown(mounts: Iterable[Mount]) -> list[dict[str, Any]]:
    """HostConfig's Mounts: what Binds and Tmpfs cannot say."""
    return [
        _mount_shown(m)
        for m in mounts
        if m.kind != "tmpfs" and not _is_bind(m) and (m.source or m.volume_options)
    ]


def _mount_shown(mount: Mount) -> dict[str, Any]:
    shown: dict[str, Any] = {"Type": mount.kind, "Source": mount.source, "Target": mount.target}
    if mount.read_only:
        shown["ReadOnly"] = True
    bind: dict[str, Any] = {"Propagation": mount.propagation} if mount.propagation else {}
    if mount.recursive:
        bind[_RECURSIONS[mount.recursive]] = True
    if mount.create_host_path:
        bind["CreateMountpoint"] = True
    volume: dict[str, Any] = {"NoCopy": True} if mount.nocopy else {}
    if mount.volume_labels:
        volume["Labels"] = dict(mount.volume_labels)
    if mount.volume_driver or mount.volume_options:
        volume["DriverConfig"] = {
            "Name": mount.volume_driver,
            "Options": dict(mount.volume_options),
        }
    if mount.subpath and mount.kind == "volume":
        volume["Subpath"] = mount.subpath
    image = {"Subpath": mount.subpath} if mount.subpath and mount.kind == "image" else {}
    options = {"BindOptions": bind, "VolumeOptions": volume, "ImageOptions": image}
    return {**shown, **{key: value for key, value in options.items() if value}}


def mount_point(mount: Mount, volumes: Mapping[str, Volume]) -> dict[str, Any]:
    """An entry of a container's Mounts, as it is; `volumes` are the ones by name."""
    shown: dict[str, Any] = {"Type": mount.kind}
    source = mount.source
    if mount.kind == "volume":
        volume = volumes.get(mount.source)
        shown["Name"] = mount.source
        source = volume.mountpoint if volume else ""
        shown["Driver"] = volume.driver if volume else "local"
    return {
        **shown,
        "Source": source,
        "Destination": mount.target,
        "Mode": _mode(mount),
        "RW": not mount.read_only and mount.kind != "image",
        "Propagation": (mount.propagation or "rprivate") if mount.kind == "bind" else "",
    }


def _mode(mount: Mount) -> str:
    if mount.kind == "tmpfs":
        return ""
    return ",".join([*(["ro"] if mount.read_only else []), *filter(None, [mount.relabel])])
