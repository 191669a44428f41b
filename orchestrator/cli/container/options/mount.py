"""`--mount` as people write it.  Source: Docker's reference, "docker container run", --mount."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from orchestrator.cli.container.options.table import invalid, put
from orchestrator.cli.units import bytes_of
from orchestrator.errors import InvalidInput

_TRUE = ("", "1", "t", "true")
_FALSE = ("0", "f", "false")
_RECURSION = {
    "enabled": "",
    "disabled": "NonRecursive",
    "writable": "ReadOnlyNonRecursive",
    "readonly": "ReadOnlyForceRecursive",
}
_KINDS = ("bind", "volume", "tmpfs", "image")


def _truth(value: str) -> bool:
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise ValueError(value)


def _octal(value: str) -> int:
    return int(value, 8)


# By field of one type: its place in the entry, and how its value is read.
_OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "bind-propagation": ("BindOptions.Propagation", str.lower),
    "bind-nonrecursive": ("BindOptions.NonRecursive", _truth),
    "bind-create-src": ("BindOptions.CreateMountpoint", _truth),
    "volume-subpath": ("VolumeOptions.Subpath", str),
    "volume-nocopy": ("VolumeOptions.NoCopy", _truth),
    "volume-driver": ("VolumeOptions.DriverConfig.Name", str),
    "tmpfs-size": ("TmpfsOptions.SizeBytes", bytes_of),
    "tmpfs-mode": ("TmpfsOptions.Mode", _octal),
    "image-subpath": ("ImageOptions.Subpath", str),
}
_PAIRS = {
    "volume-label": "VolumeOptions.Labels",
    "volume-opt": "VolumeOptions.DriverConfig.Options",
}


def mount(text: str) -> dict[str, Any]:
    """An entry of HostConfig's Mounts.  Raises: InvalidInput: malformed."""
    made: dict[str, Any] = {"Type": "volume"}
    kinds: set[str] = set()
    import csv  # noqa: PLC0415

    for field in next(csv.reader([text])):
        key, equals, value = (part.strip() for part in field.partition("="))
        key = key.lower()
        about, dash, _ = key.partition("-")
        try:
            if dash and about in _KINDS:
                kinds.add(about)
                _option(made, key, value)
            elif not _plain(made, key, value, given=bool(equals)):
                raise _bad(text, f"no such field: {field}")
        except ValueError:
            raise _bad(text, f"{key} cannot be {value!r}") from None
    if wrong := kinds - {made["Type"]}:
        raise _bad(text, f"a {sorted(wrong)[0]}- field does not go with type={made['Type']}")
    if not made.get("Target"):
        raise _bad(text, "the target is missing")
    if made["Type"] == "bind":
        if not made.get("Source"):
            raise _bad(text, "the source is missing")
        made["Source"] = os.path.abspath(os.path.expanduser(made["Source"]))
    return made


def _plain(made: dict[str, Any], key: str, value: str, *, given: bool) -> bool:
    """Whether the field is one of those that every type has; it is then done."""
    match key:
        case "type":
            made["Type"] = value.lower()
        case "source" | "src":
            made["Source"] = value
        case "target" | "dst" | "destination":
            made["Target"] = value
        case "readonly" | "ro":
            made["ReadOnly"] = _truth(value) if given else True
        case "consistency":
            made["Consistency"] = value
        case _:
            return False
    return True


def _option(made: dict[str, Any], key: str, value: str) -> None:
    """Raises: ValueError: not a value, or not a field."""
    if key == "bind-recursive":
        if value not in _RECURSION:
            raise ValueError(value)
        if how := _RECURSION[value]:
            put(made, f"BindOptions.{how}", True)
    elif key in _PAIRS:
        name, _, what = value.partition("=")
        *above, last = _PAIRS[key].split(".")
        for place in (*above, last):
            made = made.setdefault(place, {})
        made[name] = what
    elif key in _OPTIONS:
        place, read = _OPTIONS[key]
        put(made, place, read(value))
    else:
        raise ValueError(key)


def _bad(text: str, problem: str) -> InvalidInput:
    return invalid(
        "--mount",
        text,
        problem,
        "write it as type=bind,source=/host/path,target=/path,readonly",
        "mount-invalid",
    )
