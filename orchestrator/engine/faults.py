"""Errors that nobody foresaw, as a user is told them."""

from __future__ import annotations

import errno
import sqlite3

import structlog

from orchestrator.errors import Failed, PystackError

_HINTS = {
    errno.ENOSPC: "free some room on the disk: `pystack system df` shows what takes it",
    errno.EDQUOT: "the quota of this disk is used up",
    errno.EROFS: "the disk is mounted read-only; see the kernel's log",
    errno.EMFILE: "raise the limit of open files of the engine",
    errno.ENFILE: "the machine has too many files open",
}


def told(error: Exception, about: str) -> PystackError:
    """The error itself where it is one of ours; else what a user is told in its place: what the
    system refused, or that the engine is at fault, which is logged whole."""
    if isinstance(error, PystackError):
        return error
    if isinstance(error, OSError) and error.errno in _HINTS:
        where = f"{error.filename}: " if error.filename else ""
        return Failed(
            f"{where}{error.strerror}",
            code="system-refused",
            about=about,
            hint=_HINTS[error.errno],
        )
    if isinstance(error, sqlite3.OperationalError):
        return Failed(
            f"the state cannot be written: {error}",
            code="system-refused",
            about=about,
            hint=_HINTS[errno.ENOSPC],
        )
    structlog.get_logger().error("an error of our own", about=about, exc_info=error)
    return Failed(
        f"the engine met an error of its own: {type(error).__name__}: {error}",
        code="internal-error",
        about=about,
        hint="`pystack engine logs` has the details",
    )
