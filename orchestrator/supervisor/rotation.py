"""Keeping a container's log from growing without end: its files are renamed, conmon opens anew.

Only a running engine rotates; without one the log grows, and is rotated by the next.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio import to_thread
from asyncinotify import Mask

from orchestrator.aio.watching import watched
from orchestrator.errors import InvalidInput

# conmon's control line that makes it open its log again (its REOPEN_LOGS_EVENT).
_REOPEN = b"2 0 0\n"
_PAUSE_S = 1.0
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """When a log is rotated (`max_bytes`, 0 never) and how many files it may have in all."""

    max_bytes: int
    files: int = 2


def rotation_of(options: Mapping[str, str], default_bytes: int) -> Rotation:
    """The rotation that log options `max-size` and `max-file` ask for. Pure.

    Raises: InvalidInput: malformed.  Source: Docker's json-file logging driver.
    """
    size, count = options.get("max-size", ""), options.get("max-file", "")
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([bkmg]?)(?:i?b)?", size.strip().lower())
    if size and size.strip() != "-1" and found is None:
        raise _invalid("max-size", size, "a size such as 10m")
    if count and not (count.isascii() and count.isdigit() and int(count) > 0):
        raise _invalid("max-file", count, "a whole number, 1 or more")
    limit = default_bytes
    if found is not None:
        limit = int(float(found[1]) * _UNITS[found[2]])
    elif size:
        limit = 0
    return Rotation(max_bytes=limit, files=int(count) if count else 2)


async def keep_rotated(path: Path, control: Path, rotation: Rotation) -> None:
    """Rotate the log whenever it is too large, until cancelled. A silent log costs nothing.

    `control` is the fifo of the conmon that writes it.
    """
    if not rotation.max_bytes:
        await anyio.sleep_forever()
    while True:
        try:
            # Once: a busy log would wake us for every line. Watched before it is looked at, so
            # nothing written in between is missed.
            with watched(path, Mask.MODIFY | Mask.ONESHOT) as bell:
                if not await to_thread.run_sync(rotate, path, control, rotation):
                    await bell.wait()
        except FileNotFoundError:
            await to_thread.run_sync(rotate, path, control, rotation)
        await anyio.sleep(_PAUSE_S)


def rotate(path: Path, control: Path, rotation: Rotation) -> bool:
    """Rotate the log if it is too large; True when it was. Blocking, but short.

    No line is lost: conmon writes to the renamed file until it opens the new one. A rotation cut
    short is finished by the next.
    """
    try:
        if path.stat().st_size < rotation.max_bytes:
            return False
    except FileNotFoundError:
        # Renamed by an engine that died before it told conmon.
        _reopen(control)
        return False
    kept = [path.with_name(f"{path.name}.{number}") for number in range(1, rotation.files)]
    if kept:
        for older, newer in zip(reversed(kept), [*reversed(kept[:-1]), path], strict=True):
            if newer.exists():
                newer.rename(older)
    else:
        path.unlink()
    return _reopen(control)


def _reopen(control: Path) -> bool:
    try:
        # Without O_NONBLOCK, opening a fifo waits for its reader, and conmon may be gone.
        fd = os.open(control, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(fd, _REOPEN)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _invalid(key: str, value: str, wanted: str) -> InvalidInput:
    return InvalidInput(
        f"log option {key}: {value!r} is not {wanted}",
        code="log-option-invalid",
        about=key,
        hint=f"give {wanted}",
    )
