"""Whether a program can be run here: it is for this machine, or the kernel knows an emulator."""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.aio.rooted import opened

_HANDLERS = Path("/proc/sys/fs/binfmt_misc")
# ELF: class and byte order, then the machine. Source: elf(5).
_IDENTITY, _MACHINE = slice(4, 6), slice(18, 20)


def runs_here(root: Path, program: str) -> bool:
    """Whether the program at that path in root is of this machine's kind, as far as can be seen.
    Blocking."""
    try:
        with opened(root, program, os.O_RDONLY | os.O_NONBLOCK) as fd:
            theirs = os.read(fd, 20)
    except OSError:
        return True
    with Path("/proc/self/exe").open("rb") as file:
        ours = file.read(20)
    if not theirs.startswith(b"\x7fELF"):
        return True
    same = theirs[_IDENTITY] == ours[_IDENTITY] and theirs[_MACHINE] == ours[_MACHINE]
    return same or any(_HANDLERS.glob("qemu-*"))
