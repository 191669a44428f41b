"""`RUN --mount=…` as a value."""

from __future__ import annotations

import csv
import posixpath
from collections.abc import Mapping
from typing import get_args

from orchestrator.build.instructions import MountType, RunMount, Sharing
from orchestrator.build.problems import Where

_ALIASES = {
    "dst": "target",
    "destination": "target",
    "src": "source",
    "ro": "readonly",
    "rw": "readwrite",
}
_OWNED = ("mode", "uid", "gid")
_KNOWN: Mapping[str, tuple[str, ...]] = {
    "bind": ("target", "source", "from", "readonly", "readwrite"),
    "cache": ("target", "id", "sharing", "from", "source", "readonly", "readwrite", *_OWNED),
    "tmpfs": ("target", "size"),
    "secret": ("target", "id", "required", "env", *_OWNED),
    "ssh": ("target", "id", "required", *_OWNED),
}
_MODES = {"secret": "0400", "ssh": "0600"}
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def read_mount(text: str, where: Where) -> RunMount:
    """The mount written as comma-separated `key=value` words.

    Raises: InvalidInput: a key or value is wrong.
    Source: Dockerfile reference, "RUN --mount".
    """
    values: dict[str, str] = {}
    for word in _words(text, where):
        key, equals, value = word.partition("=")
        values[_ALIASES.get(key.lower(), key.lower())] = value if equals else "true"
    kind = values.pop("type", "bind")
    if kind not in _KNOWN:
        raise where.invalid(f"--mount={text}: no mount type {kind}", f"use {', '.join(_KNOWN)}")
    for key in values:
        if key not in _KNOWN[kind]:
            raise where.invalid(f"--mount={text}: a {kind} mount has no {key}")
    if not values.get("target") and kind in ("bind", "cache", "tmpfs"):
        raise where.invalid(f"--mount={text}: a target is missing")
    if kind == "secret" and not (values.get("id") or values.get("target")):
        raise where.invalid(f"--mount={text}: an id is missing")
    sharing = values.get("sharing", "shared")
    if sharing not in get_args(Sharing):
        raise where.invalid(f"--mount={text}: sharing is shared, private or locked")
    return RunMount(
        kind=_kind(kind),
        target=_target(kind, values),
        source=values.get("source", ""),
        origin=values.get("from", ""),
        id=_identifier(kind, values),
        variable=values.get("env", ""),
        required=_boolean(values.get("required", "false"), where),
        sharing=_sharing(sharing),
        read_only=_read_only(kind, values, where),
        user_id=_number(values.get("uid", "0"), 10, where),
        group_id=_number(values.get("gid", "0"), 10, where),
        mode=_number(values.get("mode", _MODES.get(kind, "755")), 8, where),
        size_bytes=_size(values.get("size", "0"), where),
    )


def _words(text: str, where: Where) -> list[str]:
    """The words between the commas; one in double quotes may hold commas."""
    try:
        return next(csv.reader([text], strict=True))
    except (csv.Error, StopIteration):
        raise where.invalid(f"--mount={text}: a quote is not closed") from None


def _target(kind: str, values: Mapping[str, str]) -> str:
    target = values.get("target", "")
    if target or (kind == "secret" and values.get("env")):
        return target
    if kind == "secret":
        return f"/run/secrets/{values['id']}"
    return f"/run/buildkit/ssh_agent.{values.get('id', 'default')}" if kind == "ssh" else ""


def _identifier(kind: str, values: Mapping[str, str]) -> str:
    if kind == "secret":
        return values.get("id") or posixpath.basename(values["target"])
    return values.get("id", "default" if kind == "ssh" else "")


def _kind(text: str) -> MountType:
    kinds: dict[str, MountType] = {kind: kind for kind in get_args(MountType)}
    return kinds[text]


def _sharing(text: str) -> Sharing:
    kinds: dict[str, Sharing] = {kind: kind for kind in get_args(Sharing)}
    return kinds[text]


def _read_only(kind: str, values: Mapping[str, str], where: Where) -> bool:
    read_only = kind == "bind"
    if (value := values.get("readonly")) is not None:
        read_only = _boolean(value, where)
    if (value := values.get("readwrite")) is not None:
        read_only = not _boolean(value, where)
    return read_only


def _boolean(text: str, where: Where) -> bool:
    text = text.lower()
    if text not in ("true", "false", "1", "0"):
        raise where.invalid(f"--mount: expected true or false, not {text}")
    return text in ("true", "1")


def _number(text: str, base: int, where: Where) -> int:
    try:
        return int(text, base)
    except ValueError:
        raise where.invalid(f"--mount: expected a number, not {text}") from None


def _size(text: str, where: Where) -> int:
    unit = text.lstrip("0123456789").lower().removesuffix("b")
    number = text[: len(text) - len(text.lstrip("0123456789"))]
    if unit not in _UNITS or not number:
        raise where.invalid(f"--mount: expected a size like 64m, not {text}")
    return int(number) * _UNITS[unit]
