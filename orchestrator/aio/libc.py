"""System calls that Python's standard library lacks, through ctypes.

They release the interpreter's lock while they run, and raise OSError as `os` would.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache

from orchestrator.aio.points import reach

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MS_SHARED = 1 << 20
MS_SLAVE = 1 << 19
MNT_DETACH = 0x2
UMOUNT_NOFOLLOW = 0x8
CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

# Their numbers are the same on every architecture.
_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_SYS_OPENAT2 = 437
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 4


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


TMPFS_MAGIC = 0x01021994


class _Statfs(ctypes.Structure):
    # Longer than any architecture's struct statfs; only its first member is read.
    _fields_ = (("f_type", ctypes.c_long), ("rest", ctypes.c_char * 248))


def is_tmpfs(path: str | os.PathLike[str]) -> bool:
    """Whether what is at path lies in memory.  Source: statfs(2)."""
    found = _Statfs()
    _checked(_libc().statfs(os.fsencode(path), ctypes.byref(found)), os.fspath(path))
    return bool((found.f_type & 0xFFFFFFFF) == TMPFS_MAGIC)


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mount.argtypes = (
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_ulong,
        ctypes.c_char_p,
    )
    libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)
    libc.unshare.argtypes = (ctypes.c_int,)
    libc.setns.argtypes = (ctypes.c_int, ctypes.c_int)
    libc.syscall.restype = ctypes.c_long
    return libc


def _checked(result: int, *paths: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), *paths[:1])
    return result


def mount(source: str, target: str, fs_type: str = "", flags: int = 0, data: str = "") -> None:
    """Mount `source` at `target`. Raises: OSError.  Source: mount(2)."""
    reach("mount", target)
    result = _libc().mount(
        os.fsencode(source or "none"),
        os.fsencode(target),
        os.fsencode(fs_type) if fs_type else None,
        flags,
        os.fsencode(data) if data else None,
    )
    _checked(result, target)


def umount(target: str, flags: int = 0) -> None:
    """Unmount what is at `target`. Raises: OSError.  Source: umount2(2)."""
    reach("unmount", target)
    _checked(_libc().umount2(os.fsencode(target), flags), target)


def unshare(flags: int) -> None:
    """Move the calling thread into new namespaces. Raises: OSError.  Source: unshare(2)."""
    _checked(_libc().unshare(flags))


def setns(fd: int, kind: int = 0) -> None:
    """Move the calling thread into the namespace of `fd`. Raises: OSError.  Source: setns(2)."""
    _checked(_libc().setns(fd, kind))


def openat2(dir_fd: int, path: str, flags: int, *, mode: int = 0, resolve: int = 0) -> int:
    """A new descriptor (close-on-exec) of `path`, looked up from `dir_fd` under `resolve`.

    Raises: OSError.  Source: openat2(2), Linux 5.6.
    """
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    result = _libc().syscall(
        ctypes.c_long(_SYS_OPENAT2),
        ctypes.c_int(dir_fd),
        ctypes.c_char_p(os.fsencode(path)),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    return _checked(int(result), path)


def clone_tree(path: str) -> int:
    """A descriptor of a copy of the mounts at and below `path`, mounted nowhere yet.

    Raises: OSError.  Source: open_tree(2), Linux 5.2.
    """
    result = _libc().syscall(
        ctypes.c_long(_SYS_OPEN_TREE),
        ctypes.c_int(_AT_FDCWD),
        ctypes.c_char_p(os.fsencode(path)),
        ctypes.c_uint(_OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC),
    )
    return _checked(int(result), path)


def attach_tree(tree: int, target: str) -> None:
    """Mount what `clone_tree` gave at `target`. Raises: OSError.  Source: move_mount(2)."""
    reach("mount", target)
    result = _libc().syscall(
        ctypes.c_long(_SYS_MOVE_MOUNT),
        ctypes.c_int(tree),
        ctypes.c_char_p(b""),
        ctypes.c_int(_AT_FDCWD),
        ctypes.c_char_p(os.fsencode(target)),
        ctypes.c_uint(_MOVE_MOUNT_F_EMPTY_PATH),
    )
    _checked(int(result), target)
