"""Which system calls a container may make: Docker's format of profiles, resolved for one container.

The profile of containers that ask for no other is `seccomp.json` beside this file.
Source: Docker's seccomp profiles; OCI runtime specification, "Seccomp"; seccomp(2).
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from orchestrator.errors import InvalidInput
from orchestrator.runtime.bpf import compiled

_ERRNO = "SCMP_ACT_ERRNO"
_EPERM = 1
# By the machine's name: Docker's word in a profile's `arches`, and libseccomp's.
_ARCHITECTURES = {
    "x86_64": ("amd64", "SCMP_ARCH_X86_64"),
    "i686": ("386", "SCMP_ARCH_X86"),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64"),
    "armv7l": ("arm", "SCMP_ARCH_ARM"),
    "ppc64le": ("ppc64le", "SCMP_ARCH_PPC64LE"),
    "riscv64": ("riscv64", "SCMP_ARCH_RISCV64"),
    "s390x": ("s390x", "SCMP_ARCH_S390X"),
    "loongarch64": ("loong64", "SCMP_ARCH_LOONGARCH64"),
}
# Of an entry in a profile: what the OCI form has too.
_KEPT = ("action", "errnoRet", "args")
_PASSED_ON = ("flags", "listenerPath", "listenerMetadata")


@dataclass(frozen=True, slots=True)
class Filter:
    """A resolved profile: its OCI form, and the same as a kernel's program ("" where there is no
    libseccomp to make it, or the profile needs more than a program)."""

    section: Mapping[str, Any]
    program: bytes


@lru_cache(maxsize=64)
def seccomp_filter(
    profile: str, capabilities: frozenset[str], machine: str, kernel: tuple[int, int]
) -> Filter:
    """The filter for a container with these capabilities (`CAP_…`); "" is the built-in profile.

    Raises: InvalidInput: not a profile (code seccomp-invalid).
    """
    section = resolve(parse_profile(profile or _built_in()), capabilities, machine, kernel)
    return Filter(section, compiled(section))


def parse_profile(text: str) -> dict[str, Any]:
    """The profile in the JSON `text`.  Raises: InvalidInput: code seccomp-invalid."""
    try:
        profile = json.loads(text)
    except ValueError as error:
        raise _invalid(f"not JSON: {error}") from None
    if not isinstance(profile, dict):
        raise _invalid("not a JSON object")
    if not str(profile.get("defaultAction", "")).startswith("SCMP_ACT_"):
        raise _invalid("defaultAction is missing; it is one of SCMP_ACT_ERRNO, SCMP_ACT_ALLOW, …")
    if profile.get("architectures") and profile.get("archMap"):
        raise _invalid("architectures and archMap exclude each other")
    for entry in profile.get("syscalls") or ():
        if not isinstance(entry, dict) or not _names(entry):
            raise _invalid(f"an entry of syscalls without names: {json.dumps(entry)[:80]}")
        if not str(entry.get("action", "")).startswith("SCMP_ACT_"):
            raise _invalid(f"the entry for {_names(entry)[0]} has no action SCMP_ACT_…")
    return profile


def resolve(
    profile: Mapping[str, Any],
    capabilities: Collection[str],
    machine: str,
    kernel: tuple[int, int],
) -> dict[str, Any]:
    """The OCI form of what applies: entries whose `includes` all hold and whose `excludes` do not.

    `kernel` is (major, minor).
    """
    own, native = _ARCHITECTURES.get(machine, (machine, ""))
    found: dict[str, Any] = {"defaultAction": profile["defaultAction"]}
    found |= {key: profile[key] for key in _PASSED_ON if profile.get(key)}
    if profile.get("defaultErrnoRet") is not None:
        found["defaultErrnoRet"] = profile["defaultErrnoRet"]
    if architectures := _architectures(profile, native):
        found["architectures"] = architectures
    calls: list[dict[str, Any]] = []
    plain: set[str] = set()
    for entry in profile.get("syscalls") or ():
        if not _applies(entry, capabilities, own, kernel) or _as_by_default(entry, found):
            continue
        names = [name for name in _names(entry) if name not in plain]
        kept = {key: entry[key] for key in _KEPT if entry.get(key) not in (None, [])}
        if "args" not in kept:
            # A second entry for all of a call adds nothing: the first one counts.
            plain.update(names)
        if names:
            calls.append({"names": names, **kept})
    found["syscalls"] = calls
    return found


def machine_and_kernel() -> tuple[str, tuple[int, int]]:
    """What this machine is called, and its kernel's version as (major, minor)."""
    numbers = re.match(r"(\d+)\.(\d+)", platform.release())
    version = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
    return platform.machine(), version


@cache
def _built_in() -> str:
    return Path(__file__).with_name("seccomp.json").read_text()


def _names(entry: Mapping[str, Any]) -> list[str]:
    if name := entry.get("name"):  # the older form
        return [str(name)]
    return [str(name) for name in entry.get("names") or ()]


def _architectures(profile: Mapping[str, Any], native: str) -> list[str]:
    for pair in profile.get("archMap") or ():
        if pair.get("architecture") == native:
            return [native, *(pair.get("subArchitectures") or ())]
    return list(profile.get("architectures") or ())


def _applies(
    entry: Mapping[str, Any], capabilities: Collection[str], own: str, kernel: tuple[int, int]
) -> bool:
    wanted, unwanted = entry.get("includes") or {}, entry.get("excludes") or {}
    if wanted.get("arches") and own not in wanted["arches"]:
        return False
    if own in (unwanted.get("arches") or ()):
        return False
    if any(name not in capabilities for name in wanted.get("caps") or ()):
        return False
    if any(name in capabilities for name in unwanted.get("caps") or ()):
        return False
    if wanted.get("minKernel") and kernel < _version(wanted["minKernel"]):
        return False
    newest = unwanted.get("minKernel")
    return newest is None or kernel < _version(newest)


def _as_by_default(entry: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether the entry says what holds anyway, which libseccomp refuses to be told."""
    if entry["action"] != found["defaultAction"]:
        return False
    said, default = entry.get("errnoRet", _EPERM), found.get("defaultErrnoRet", _EPERM)
    return bool(entry["action"] != _ERRNO or said == default)


def _version(text: str) -> tuple[int, int]:
    major, _, minor = str(text).partition(".")
    try:
        return int(major), int(minor)
    except ValueError:
        raise _invalid(f"minKernel {text!r} is not MAJOR.MINOR") from None


def _invalid(what: str) -> InvalidInput:
    return InvalidInput(
        f"the seccomp profile is malformed: {what}",
        code="seccomp-invalid",
        about="seccomp",
        hint="its form is Docker's: docs.docker.com/engine/security/seccomp",
    )
