"""What the options of a volume of the driver `local` mount at its place. Pure.

Source: Docker's reference, "docker volume create", driver-specific options; mount(8).
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.aio.libc import (
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_RDONLY,
    MS_REC,
)
from orchestrator.errors import InvalidInput

_KNOWN = ("type", "device", "o")
_MS_SYNCHRONOUS = 1 << 4
_MS_NOATIME = 1 << 10
_MS_NODIRATIME = 1 << 11
_MS_RELATIME = 1 << 21
_FLAGS = {
    "bind": MS_BIND,
    "rbind": MS_BIND | MS_REC,
    "ro": MS_RDONLY,
    "nosuid": MS_NOSUID,
    "nodev": MS_NODEV,
    "noexec": MS_NOEXEC,
    "sync": _MS_SYNCHRONOUS,
    "noatime": _MS_NOATIME,
    "nodiratime": _MS_NODIRATIME,
    "relatime": _MS_RELATIME,
}
_DEFAULTS = ("", "rw", "suid", "dev", "exec", "async", "atime", "diratime", "defaults")
_NETWORKED = ("nfs", "nfs4", "cifs")


@dataclass(frozen=True, slots=True)
class VolumeMount:
    """The arguments of mount(2), without the target."""

    source: str
    kind: str
    flags: int
    data: str

    @property
    def read_only(self) -> bool:
        return bool(self.flags & MS_RDONLY)


def check_options(options: Mapping[str, str]) -> None:
    """Raises: InvalidInput: an option that the driver does not have, or not what it takes."""
    for name in options:
        if name not in _KNOWN:
            raise _invalid(name, f"the driver local has no option {name!r}")
    if options and not options.get("device"):
        raise _invalid("device", "the option `device` is missing")
    is_bind = options.get("type", "none") in ("none", "bind") or "bind" in _words(options)
    if is_bind and options and not options["device"].startswith("/"):
        raise _invalid("device", "the device of a bind is an absolute path")


def volume_mount(options: Mapping[str, str]) -> VolumeMount | None:
    """What is mounted at the volume's place, None where it is a plain directory."""
    if not options:
        return None
    kind = options.get("type", "none")
    flags, data = 0, []
    for word in _words(options):
        if word in _FLAGS:
            flags |= _FLAGS[word]
        elif word not in _DEFAULTS:
            data.append(word)
    if kind in ("none", "bind"):
        flags |= MS_BIND
        kind = ""
    return VolumeMount(options["device"], kind, flags, ",".join(data))


def with_address(wanted: VolumeMount) -> VolumeMount:
    """The same with the server named in `addr` as its address, which is what the kernel takes.

    Looks the name up (blocking).  Raises: OSError: there is no such name.
    """
    if wanted.kind not in _NETWORKED:
        return wanted
    words = [
        f"addr={socket.gethostbyname(word[5:])}" if word.startswith("addr=") else word
        for word in wanted.data.split(",")
    ]
    return VolumeMount(wanted.source, wanted.kind, wanted.flags, ",".join(words))


def _words(options: Mapping[str, str]) -> list[str]:
    return [word.strip() for word in options.get("o", "").split(",")]


def _invalid(about: str, problem: str) -> InvalidInput:
    return InvalidInput(
        f"volume: {problem}",
        code="volume-option-invalid",
        about=about,
        hint="the options are type, device and o, as mount(8) has them",
    )
