"""Tar headers, byte for byte the same for the same entry, whatever Python writes them.

Pure. Only what a layer needs: POSIX ustar blocks, with pax records for what does not fit. The
standard library's writer is not used because a layer must come out with the same digest years
later, and its output is free to change.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

BLOCK = 512
END = bytes(2 * BLOCK)

REGULAR, HARDLINK, SYMLINK, CHAR, BLOCK_DEVICE, DIRECTORY, FIFO = (
    b"0",
    b"1",
    b"2",
    b"3",
    b"4",
    b"5",
    b"6",
)
_PAX = b"x"
_OCTAL_7 = 8**7 - 1
_OCTAL_11 = 8**11 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One member of a tar; `mtime` is Unix seconds, `xattrs` are by their full names."""

    name: bytes
    kind: bytes
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = 0
    link: bytes = b""
    major: int = 0
    minor: int = 0
    xattrs: Mapping[bytes, bytes] = field(default_factory=dict)


def entry_of(
    name: bytes,
    kind: bytes,
    info: os.stat_result,
    *,
    link: bytes = b"",
    size: int = 0,
    device: int = 0,
    xattrs: dict[bytes, bytes] | None = None,
) -> Entry:
    """The entry of a file whose status is `info`; `size` counts only where content follows."""
    return Entry(
        name=name,
        kind=kind,
        mode=info.st_mode,
        uid=info.st_uid,
        gid=info.st_gid,
        mtime=int(info.st_mtime),
        link=link,
        size=size,
        major=os.major(device),
        minor=os.minor(device),
        xattrs=xattrs or {},
    )


def header(entry: Entry) -> bytes:
    """The header blocks of an entry, a pax extension before it where one is needed.

    Source: POSIX.1-2017 pax, "ustar Interchange Format" and "pax Extended Header"; SCHILY.xattr
    as star, GNU tar and Docker write it.
    """
    records = _records(entry)
    if not records:
        return _block(entry)
    body = b"".join(_record(key, value) for key, value in sorted(records.items()))
    extension = Entry(name=b"pax", kind=_PAX, mode=0o644, size=len(body))
    return _block(extension) + padded(body) + _block(entry)


def padded(data: bytes) -> bytes:
    """Data, filled up with zeros to whole blocks."""
    return data + padding(len(data))


def padding(size: int) -> bytes:
    """The zeros that follow size bytes of data."""
    return bytes(-size % BLOCK)


def _records(entry: Entry) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {b"SCHILY.xattr." + k: v for k, v in entry.xattrs.items()}
    if len(entry.name) > 100:
        found[b"path"] = entry.name
    if len(entry.link) > 100:
        found[b"linkpath"] = entry.link
    if entry.size > _OCTAL_11:
        found[b"size"] = b"%d" % entry.size
    if entry.uid > _OCTAL_7:
        found[b"uid"] = b"%d" % entry.uid
    if entry.gid > _OCTAL_7:
        found[b"gid"] = b"%d" % entry.gid
    if not 0 <= entry.mtime <= _OCTAL_11:
        found[b"mtime"] = b"%d" % entry.mtime
    return found


def _record(key: bytes, value: bytes) -> bytes:
    """One pax record; its length field counts itself."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest)
    while (whole := len(rest) + len(b"%d" % length)) != length:
        length = whole
    return b"%d" % length + rest


def _block(entry: Entry) -> bytes:
    fields = [
        entry.name[:100].ljust(100, b"\0"),
        b"%07o\0" % (entry.mode & 0o7777),
        b"%07o\0" % (entry.uid if entry.uid <= _OCTAL_7 else 0),
        b"%07o\0" % (entry.gid if entry.gid <= _OCTAL_7 else 0),
        b"%011o\0" % (entry.size if entry.size <= _OCTAL_11 else 0),
        b"%011o\0" % (entry.mtime if 0 <= entry.mtime <= _OCTAL_11 else 0),
        b" " * 8,
        entry.kind,
        entry.link[:100].ljust(100, b"\0"),
        b"ustar\x0000",
        bytes(64),
        b"%07o\0" % entry.major,
        b"%07o\0" % entry.minor,
        bytes(167),
    ]
    block = b"".join(fields)
    total = sum(block)
    return block[:148] + b"%06o\0 " % total + block[156:]
