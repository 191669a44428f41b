"""Which capabilities a container's processes have. Pure.  Source: capabilities(7); Docker's set."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.errors import InvalidInput

# In the kernel's numbering.
NAMES = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
]

DEFAULT = frozenset(
    [
        "CHOWN",
        "DAC_OVERRIDE",
        "FSETID",
        "FOWNER",
        "MKNOD",
        "NET_RAW",
        "SETGID",
        "SETUID",
        "SETFCAP",
        "SETPCAP",
        "NET_BIND_SERVICE",
        "SYS_CHROOT",
        "KILL",
        "AUDIT_WRITE",
    ]
)


def names_in(mask: int) -> frozenset[str]:
    """The capabilities in a kernel bit mask, without `CAP_`."""
    return frozenset(name for bit, name in enumerate(NAMES) if mask >> bit & 1)


def effective_capabilities(
    add: Iterable[str], drop: Iterable[str], available: frozenset[str], *, privileged: bool
) -> list[str]:
    """The container's capabilities as `CAP_…`, sorted; never more than the engine has itself.

    Raises: InvalidInput: no such capability, or the engine itself lacks one asked for by name.
    """
    wanted, dropped = _names(add), _names(drop)
    if privileged:
        chosen = set(available)
    elif "ALL" in wanted:
        chosen = set(available) - dropped
    elif "ALL" in dropped:
        chosen = set(wanted)
    else:
        chosen = (set(DEFAULT & available) - dropped) | wanted
    if missing := sorted((wanted - {"ALL"}) - available):
        raise InvalidInput(
            f"capability {missing[0]} is not the engine's to give",
            code="capability-not-available",
            about=missing[0],
            hint="take it out of cap_add, or give it to the engine",
        )
    return sorted(f"CAP_{name}" for name in chosen)


def _names(given: Iterable[str]) -> set[str]:
    names = {name.upper().removeprefix("CAP_") for name in given}
    if unknown := sorted(names - {"ALL", *NAMES}):
        raise InvalidInput(
            f"no such capability: {unknown[0]}",
            code="no-such-capability",
            about=unknown[0],
            hint="`man 7 capabilities` lists them",
        )
    return names
