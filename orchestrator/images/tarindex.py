"""Where the files of an uncompressed tar are: nothing is extracted, nothing is believed.

The standard library's reader is not used because it reads a name as long as the archive says, and
fails in many ways; here every failure is a ValueError and every size is bounded. Blocking.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from orchestrator.images.tarheader import BLOCK

_NAME_MAX = 64 << 10
_MEMBERS_MAX = 200_000
_FILES = (b"0", b"\0", b"7")
_HARDLINK, _SYMLINK, _PAX, _GLOBAL, _LONG_NAME, _LONG_LINK = b"1", b"2", b"x", b"g", b"L", b"K"
_EXTENSIONS = (_PAX, _GLOBAL, _LONG_NAME, _LONG_LINK)
_BARE = (b"3", b"4", b"5", b"6")

Read = Callable[[int, int], bytes]
"""The bytes at an offset, at most so many; fewer only at the end."""


@dataclass(frozen=True, slots=True)
class Member:
    """Where a file's bytes are in the archive."""

    offset: int
    size: int


def index(read: Read) -> dict[str, Member]:
    """The regular files by their normal names; links stand for what they lead to. Of files of one
    name the last counts.

    Raises: ValueError: it is no tar, or a broken one.
    Source: POSIX.1-2017 pax, "ustar Interchange Format" and "pax Extended Header"; GNU tar manual,
    "Basic Tar Format".
    """
    files: dict[str, Member] = {}
    links: dict[str, str] = {}
    for kind, name, target, member in _entries(read):
        if kind in _FILES:
            if member.size and not read(member.offset + member.size - 1, 1):
                raise ValueError(f"{name} is cut short")
            files[name] = member
            links.pop(name, None)
        elif kind in (_HARDLINK, _SYMLINK):
            base = posixpath.dirname(name) if kind == _SYMLINK else ""
            links[name] = _normal(posixpath.join(base, target))
    # Old `docker save` stores a repeated layer as a link to its first copy.
    for name, target in links.items():
        if target in files:
            files.setdefault(name, files[target])
    return files


def _entries(read: Read) -> Iterator[tuple[bytes, str, str, Member]]:
    """Every member in order: its kind, its name, what it links to, where its bytes are."""
    position = count = 0
    extra: dict[str, str] = {}
    while (block := read(position, BLOCK)) and any(block):
        _check(block)
        count += 1
        if count > _MEMBERS_MAX:
            raise ValueError(f"more than {_MEMBERS_MAX} members")
        kind, size = block[156:157], _number(block[124:136])
        if kind not in _EXTENSIONS:
            size = _size(extra, size)
        start = position + BLOCK
        position = start + (0 if kind in _BARE else -(-size // BLOCK) * BLOCK)
        if kind in _EXTENSIONS:
            if size > _NAME_MAX:
                raise ValueError("an extended header is too large")
            if kind != _GLOBAL:
                extra |= _extension(kind, read(start, size))
            continue
        name = _normal(extra.get("path") or _name(block))
        yield kind, name, extra.get("linkpath") or _text(block[157:257]), Member(start, size)
        extra = {}
    if not count and not block:
        raise ValueError("it is empty")


def _check(block: bytes) -> None:
    if len(block) < BLOCK:
        raise ValueError("it is cut short")
    said = _number(block[148:156])
    summed = sum(block) - sum(block[148:156]) + 8 * 32
    if said != summed:
        raise ValueError("a header has a wrong checksum")


def _number(field: bytes) -> int:
    if field[0] & 0x80:  # GNU: a binary number
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if value >= 1 << 62 or field[0] & 0x40:
            raise ValueError("a header has a number out of range")
        return value
    text = field.split(b"\0", 1)[0].strip()
    if not text:
        return 0
    if not set(text) <= set(b"01234567"):
        raise ValueError("a header has a number that is none")
    return int(text, 8)


def _size(extra: dict[str, str], size: int) -> int:
    text = extra.get("size")
    if text is None:
        return size
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise ValueError("a header has a size that is none")
    return int(text)


def _extension(kind: bytes, data: bytes) -> dict[str, str]:
    if kind == _LONG_NAME:
        return {"path": _text(data)}
    if kind == _LONG_LINK:
        return {"linkpath": _text(data)}
    found: dict[str, str] = {}
    while data.strip(b"\0"):
        length, _, _ = data.partition(b" ")
        if not length.isdigit() or len(length) > 6 or not 0 < int(length) <= len(data):
            raise ValueError("an extended header is damaged")
        record = data[len(length) + 1 : int(length)].removesuffix(b"\n")
        key, _, value = record.partition(b"=")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
        data = data[int(length) :]
    return {key: found[key] for key in ("path", "linkpath", "size") if key in found}


def _name(block: bytes) -> str:
    name = _text(block[:100])
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def _normal(name: str) -> str:
    return posixpath.normpath("/" + name).lstrip("/")
