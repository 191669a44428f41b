"""A seccomp profile as the program that the kernel runs, made once by libseccomp.

The runtimes make it anew for every container, which takes longer than everything else they do;
crun takes one that is made already.  Source: seccomp_init(3) and its neighbours; crun(1),
`run.oci.seccomp_bpf_data`.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

_LIBRARY = "libseccomp.so.2"
_UNKNOWN = -1
_ERRNO = 0x00050000
_ACTIONS = {
    "SCMP_ACT_ALLOW": 0x7FFF0000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
}
_COMPARISONS = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}
# What a section may say beyond a program: a program's owner would not know of it.
_BEYOND = ("flags", "listenerPath", "listenerMetadata")


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def compiled(section: Mapping[str, Any]) -> bytes:
    """The program of an OCI seccomp section; empty where it cannot be made here.

    A runtime then makes it, or says what is wrong with the section.
    """
    library = _library()
    if library is None or any(section.get(key) for key in _BEYOND):
        return b""
    try:
        default = _action(section["defaultAction"], section.get("defaultErrnoRet"))
        context = library.seccomp_init(default)
        if not context:
            return b""
        try:
            _fill(library, context, section)
            return _exported(library, context)
        finally:
            library.seccomp_release(context)
    except (KeyError, OSError, TypeError, ValueError):
        return b""


def _fill(library: ctypes.CDLL, context: int, section: Mapping[str, Any]) -> None:
    for name in section.get("architectures") or ():
        short = name.removeprefix("SCMP_ARCH_").lower().encode()
        token = library.seccomp_arch_resolve_name(short)
        if token and library.seccomp_arch_exist(context, token) != 0:
            _check(library.seccomp_arch_add(context, token))
    for entry in section.get("syscalls") or ():
        action = _action(entry["action"], entry.get("errnoRet"))
        arguments = entry.get("args") or ()
        for name in entry["names"]:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number != _UNKNOWN:
                _rule(library, context, action, number, arguments)


def _rule(
    library: ctypes.CDLL,
    context: int,
    action: int,
    number: int,
    arguments: Sequence[Mapping[str, Any]],
) -> None:
    made = [
        _Comparison(a["index"], _COMPARISONS[a["op"]], a["value"], a.get("valueTwo") or 0)
        for a in arguments
    ]
    indices = {comparison.argument for comparison in made}
    # libseccomp takes one comparison an argument; several of one are alternatives.
    each = [[m] for m in made] if len(indices) < len(made) else [made]
    for together in each:
        array = (_Comparison * len(together))(*together)
        _check(library.seccomp_rule_add_array(context, action, number, len(together), array))


def _exported(library: ctypes.CDLL, context: int) -> bytes:
    fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    try:
        _check(library.seccomp_export_bpf(context, fd))
        return os.pread(fd, os.fstat(fd).st_size, 0)
    finally:
        os.close(fd)


def _action(name: str, errno: int | None) -> int:
    if name == "SCMP_ACT_ERRNO":
        return _ERRNO | (1 if errno is None else errno)
    return _ACTIONS[name]


def _check(result: int) -> None:
    if result < 0:
        raise OSError(-result, os.strerror(-result))


@cache
def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        return None
    pointer, number = ctypes.c_void_p, ctypes.c_uint32
    library.seccomp_init.restype = pointer
    library.seccomp_init.argtypes = (number,)
    library.seccomp_release.argtypes = (pointer,)
    library.seccomp_arch_resolve_name.restype = number
    library.seccomp_arch_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_arch_exist.argtypes = (pointer, number)
    library.seccomp_arch_add.argtypes = (pointer, number)
    library.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_rule_add_array.argtypes = (
        pointer,
        number,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_Comparison),
    )
    library.seccomp_export_bpf.argtypes = (pointer, ctypes.c_int)
    return library
