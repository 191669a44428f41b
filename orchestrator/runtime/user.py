"""Whom a container's process runs as.

The user may be given by name or number, with a group or without, and is looked up in the files of
the container's root, never in the machine's.  Source: the compose specification, "user"; Docker's
`--user`, `--group-add`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.aio.rooted import read_text
from orchestrator.errors import Failed

_MAX_ID = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A resolved user; `groups` are all of its groups, the main one first."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = (0,)
    home: str = "/"
    name: str = ""


def resolve_user(rootfs: Path, user: str, group_add: Sequence[str] = ()) -> User:
    """The user that `user` ("" is root) means in the container whose root is `rootfs`.

    Raises: Failed: no such user or group there (codes no-such-user, no-such-group).
    """
    passwd = read_text(rootfs, "/etc/passwd")
    group = read_text(rootfs, "/etc/group")
    return find_user(passwd, group, user, group_add)


def find_user(passwd: str, group: str, user: str, group_add: Sequence[str] = ()) -> User:
    """As `resolve_user`, from the text of the two files. Pure.

    A numeric user needs no entry; its group is then 0 and its home "/". Supplementary groups from
    the group file belong only to a user given without a group.
    """
    wanted_user, _, wanted_group = user.partition(":")
    entry = _passwd_entry(passwd, wanted_user or "0")
    if entry is not None:
        name, uid, gid, home = entry
    elif (number := _number(wanted_user or "0")) is not None:
        name, uid, gid, home = "", number, 0, "/"
    else:
        raise Failed(
            f"no user {wanted_user!r} in the container's /etc/passwd",
            code="no-such-user",
            about=wanted_user,
            hint="name a user that the image has, or give a numeric id",
        )
    more: list[int] = []
    if wanted_group:
        gid = _group_id(group, wanted_group)
    elif name:
        more = [g for _, g, members in _groups(group) if name in members]
    more += [_group_id(group, extra) for extra in group_add]
    return User(uid=uid, gid=gid, groups=tuple(dict.fromkeys([gid, *more])), home=home, name=name)


def _number(text: str) -> int | None:
    if text.isascii() and text.isdigit() and int(text) <= _MAX_ID:
        return int(text)
    return None


def _passwd_entry(passwd: str, wanted: str) -> tuple[str, int, int, str] | None:
    number = _number(wanted)
    by_number = None
    for line in passwd.splitlines():
        fields = line.strip().split(":")
        uid, gid = (_number(f) for f in fields[2:4]) if len(fields) > 3 else (None, None)
        if uid is None or gid is None:
            continue
        found = (fields[0], uid, gid, fields[5] if len(fields) > 5 and fields[5] else "/")
        if fields[0] == wanted:
            return found
        if uid == number and by_number is None:
            by_number = found
    return by_number


def _groups(group: str) -> Iterator[tuple[str, int, list[str]]]:
    for line in group.splitlines():
        fields = line.strip().split(":")
        gid = _number(fields[2]) if len(fields) > 2 else None
        if gid is not None:
            yield fields[0], gid, fields[3].split(",") if len(fields) > 3 else []


def _group_id(group: str, wanted: str) -> int:
    for name, gid, _ in _groups(group):
        if name == wanted:
            return gid
    if (number := _number(wanted)) is not None:
        return number
    raise Failed(
        f"no group {wanted!r} in the container's /etc/group",
        code="no-such-group",
        about=wanted,
        hint="name a group that the image has, or give a numeric id",
    )
