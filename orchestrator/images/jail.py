"""A program confined to one directory: it sees that directory, and the system's programs read-only.

The program runs in a mount namespace of its own whose root is a tiny tmpfs, so no path, link or
`..` that it follows leads to the rest of the machine. Blocking.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from orchestrator.aio import libc
from orchestrator.errors import Failed

# Where programs and their libraries live; on most distributions all but usr are links into it.
_SYSTEM = ("usr", "bin", "sbin", "lib", "lib64", "lib32", "nix", "gnu")
_INSIDE = "/layer"


def spawn(
    argv: Sequence[str], directory: Path, *, umask: int = -1, apart: bool = False
) -> subprocess.Popen[bytes]:
    """The running program, in directory, with a pipe to its stdin and one from its stdout, which
    is its stderr too unless they are kept `apart`; `umask` -1 is this process's.

    Raises: Failed: the confinement or the program cannot be made.
    """
    outcome: list[subprocess.Popen[bytes] | OSError] = []

    def run() -> None:
        try:
            _confine(directory)
            outcome.append(_start(argv, umask, subprocess.PIPE if apart else subprocess.STDOUT))
        except OSError as error:
            outcome.append(error)

    # The thread's root and mounts are its own from here on, so it must not be a pool's.
    thread = threading.Thread(target=run, name="jail")
    thread.start()
    thread.join()
    if outcome and isinstance(child := outcome[0], subprocess.Popen):
        return child
    raise Failed(
        f"{argv[0]} cannot be started in a confined directory: {outcome[0] if outcome else ''}",
        code="unpack-failed",
        about=str(directory),
        hint="pystack needs CAP_SYS_ADMIN and GNU tar (package tar) to unpack images",
    ) from (outcome[0] if outcome and isinstance(outcome[0], OSError) else None)


def _start(argv: Sequence[str], umask: int, stderr: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        list(argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        cwd=_INSIDE,
        bufsize=0,
        umask=umask,
        start_new_session=True,
    )


def _confine(directory: Path) -> None:
    libc.unshare(libc.CLONE_NEWNS)
    libc.mount("", "/", flags=libc.MS_REC | libc.MS_PRIVATE)
    # Held open, because the tmpfs goes over the directory that it is in.
    layer = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        root = str(directory.parent)
        libc.mount("tmpfs", root, "tmpfs", libc.MS_NOSUID | libc.MS_NODEV, "size=64k,mode=755")
        for name in _SYSTEM:
            _offer(Path("/", name), Path(root, name))
        inside = root + _INSIDE
        Path(inside).mkdir()
        libc.mount(f"/proc/self/fd/{layer}", inside, flags=libc.MS_BIND)
        flags = libc.MS_REMOUNT | libc.MS_BIND | libc.MS_NODEV | libc.MS_NOSUID | libc.MS_NOEXEC
        libc.mount("", inside, flags=flags)
    finally:
        os.close(layer)
    os.chdir(root)
    # With the old root gone from this namespace, nothing of the machine's mounts is held by it.
    # A root in an initramfs cannot be pivoted; there chroot alone has to do.
    if ctypes.CDLL(None).pivot_root(b".", b".") == 0:
        libc.umount(".", libc.MNT_DETACH)
    os.chroot(".")
    os.chdir("/")


def _offer(source: Path, target: Path) -> None:
    if source.is_symlink():
        target.symlink_to(source.readlink())
    elif source.is_dir():
        target.mkdir()
        libc.mount(str(source), str(target), flags=libc.MS_BIND | libc.MS_REC)
        flags = libc.MS_REMOUNT | libc.MS_BIND | libc.MS_RDONLY | libc.MS_NOSUID | libc.MS_NODEV
        libc.mount("", str(target), flags=flags)
