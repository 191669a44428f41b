"""`RUN --mount=…` as a value."""

from __future__ import annotations

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
_KNOWN: Mapping[str, tuple[str, ...]] = {
    "bind": ("target", "source", "from", "readonly", "readwrite"),
    "cache": ("target", "id", "sharing", "mode", "uid", "gid", "readonly", "readwrite"),
    "tmpfs": ("target", "size"),
}
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def read_mount(text: str, where: Where) -> RunMount:
    """The mount written as comma-separated `key=value` words.

    Raises: InvalidInput: a key or value is wrong; secret and ssh mounts.
    Source: Dockerfile reference, "RUN --mount".
    """
    values: dict[str, str] = {}
    for word in text.split(","):
        key, equals, value = word.partition("=")
        values[_ALIASES.get(key.lower(), key.lower())] = value if equals else "true"
    kind = values.pop("type", "bind")
    if kind in ("secret", "ssh"):
        raise where.unsupported(f"RUN --mount=type={kind}", "pass what it needs another way")
    if kind not in _KNOWN:
        raise where.invalid(f"--mount={text}: no mount type {kind}", "use bind, cache or tmpfs")
    if kind == "cache" and values.keys() & {"from", "source"}:
        raise where.unsupported("a cache mount that begins with content (from=)", "leave out from=")
    for key in values:
        if key not in _KNOWN[kind]:
            raise where.invalid(f"--mount={text}: a {kind} mount has no {key}")
    if not values.get("target"):
        raise where.invalid(f"--mount={text}: a target is missing")
    sharing = values.get("sharing", "shared")
    if sharing not in get_args(Sharing):
        raise where.invalid(f"--mount={text}: sharing is shared, private or locked")
    return RunMount(
        kind=_kind(kind),
        target=values["target"],
        source=values.get("source", ""),
        origin=values.get("from", ""),
        cache_id=values.get("id", ""),
        sharing=_sharing(sharing),
        read_only=_read_only(kind, values, where),
        user_id=_number(values.get("uid", "0"), 10, where),
        group_id=_number(values.get("gid", "0"), 10, where),
        mode=_number(values.get("mode", "755"), 8, where),
        size_bytes=_size(values.get("size", "0"), where),
    )


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
