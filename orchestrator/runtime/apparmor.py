"""The AppArmor profile of containers, given to the kernel where it has AppArmor.

Source: apparmor.d(5), apparmor_parser(8); the kernel's admin-guide/LSM/apparmor.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from orchestrator.aio.process import run_process
from orchestrator.errors import InvalidInput

PROFILE = "pystack-default"
_ENABLED = Path("/sys/module/apparmor/parameters/enabled")
_LOADED = Path("/sys/kernel/security/apparmor/profiles")
_TIMEOUT_S = 30.0
# Docker's name for its own: files written for it mean ours.
_ALIASES = ("docker-default", "containers-default")

# Who signals a container: some distributions have profiles for the runtimes.
_SENDERS = ("unconfined", "crun", "runc", "conmon")

# What capabilities, masked paths and the seccomp filter refuse, refused once more: a mistake in one
# of them, or a process that got out of its mount namespace, still meets this. Signals and traces
# stay among the containers' own.
_TEXT = """\
#include <tunables/global>

profile {name} flags=(attach_disconnected,mediate_deleted) {{
  #include <abstractions/base>

  network,
  capability,
  file,
  umount,

  signal (receive) peer={{{senders}}},
  signal (send, receive) peer={name},
  ptrace (trace, read, tracedby, readby) peer={name},

  deny mount,
  deny @{{PROC}}/* w,
  deny @{{PROC}}/{{acpi,asound,bus,fs,irq,scsi,sys,tty}}/** wklx,
  deny @{{PROC}}/{{kcore,kallsyms,sysrq-trigger}} rwklx,
  deny /sys/{{block,bus,class,dev,devices,firmware,hypervisor,kernel,module,power}}/** wklx,
  deny /sys/fs/{{bpf,ecryptfs,ext4,btrfs,f2fs,fuse,nilfs2,pstore,resctrl,selinux,xfs}}/** wklx,
  deny /sys/{{firmware,kernel/security,devices/virtual/powercap}}/** r,
}}
"""


def loaded_profiles() -> frozenset[str]:
    """The names of the profiles that the kernel knows; none where it has no AppArmor."""
    try:
        if not _ENABLED.read_text().startswith("Y"):
            return frozenset()
        lines = _LOADED.read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(line.rpartition(" (")[0] for line in lines)


def profile_text(engine: str = "unconfined") -> str:
    """The profile in AppArmor's language; `engine` is the profile that the engine runs under."""
    senders = sorted({engine, *_SENDERS})
    return _TEXT.format(name=PROFILE, senders=",".join(senders))


def profile_for(wanted: str, loaded: frozenset[str]) -> str:
    """The name of the profile to run under, "" for none. Pure.

    `wanted` is a container's option: "" means ours. Without AppArmor in the kernel nothing is
    applied, as Docker does, so that one stack file serves both kinds of machine.

    Raises: InvalidInput: the kernel has AppArmor, but not that profile.
    """
    if not loaded or wanted == "unconfined":
        return ""
    if not wanted or wanted in _ALIASES:
        return PROFILE if PROFILE in loaded else ""
    if wanted not in loaded:
        raise InvalidInput(
            f"no AppArmor profile {wanted} is loaded",
            code="no-such-apparmor-profile",
            about=wanted,
            hint="load it with apparmor_parser, or use apparmor=unconfined",
        )
    return wanted


async def load_profile() -> str:
    """ "" once the kernel knows the profile (or has no AppArmor); else why it does not."""
    if not _ENABLED.exists() or not _ENABLED.read_text().startswith("Y"):
        return ""
    parser = shutil.which("apparmor_parser") or shutil.which("apparmor_parser", path="/sbin")
    if parser is None:
        return "" if PROFILE in loaded_profiles() else "apparmor_parser is not installed"
    try:
        done = await run_process(
            [parser, "--replace", "--skip-cache"],
            stdin=profile_text(_own_label()).encode(),
            timeout_s=_TIMEOUT_S,
        )
    except (OSError, TimeoutError) as error:
        return str(error) or "apparmor_parser did not end in time"
    return done.stderr.decode(errors="replace").strip() if done.exit_code else ""


def _own_label() -> str:
    """The profile that this process runs under.  Source: apparmor(7), /proc/PID/attr/current."""
    try:
        text = Path("/proc/self/attr/current").read_text()
    except OSError:
        return "unconfined"
    return text.strip("\0\n ").partition(" (")[0] or "unconfined"
