"""Seccomp profiles: Docker's format resolved for one container, and the one that is built in."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.runtime.bpf import compiled
from orchestrator.runtime.capabilities import DEFAULT, NAMES
from orchestrator.runtime.seccomp import parse_profile, resolve, seccomp_filter

USUAL = frozenset(f"CAP_{name}" for name in DEFAULT)
EVERY = frozenset(f"CAP_{name}" for name in NAMES)
ALLOW, ERRNO = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"


def built_in(
    capabilities: frozenset[str] = USUAL,
    machine: str = "x86_64",
    kernel: tuple[int, int] = (6, 1),
) -> dict[str, Any]:
    return dict(seccomp_filter("", capabilities, machine, kernel).section)


def names(section: dict[str, Any], action: str, *, always: bool = True) -> set[str]:
    """The calls with that action, whatever their arguments (`always`) or for some."""
    return {
        name
        for entry in section["syscalls"]
        if entry["action"] == action and ("args" not in entry) == always
        for name in entry["names"]
    }


def own(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    profile = {"defaultAction": ERRNO, "syscalls": list(entries), **more}
    return resolve(parse_profile(json.dumps(profile)), USUAL, "x86_64", (6, 1))


def entry(*called: str, **more: Any) -> dict[str, Any]:
    return {"names": list(called), "action": ALLOW, **more}


# -- the built-in one ------------------------------------------------------------------------------

REFUSED = """
    acct add_key bpf clock_settime delete_module finit_module fsopen get_mempolicy init_module
    io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load keyctl lookup_dcookie mbind mount
    move_mount move_pages open_by_handle_at open_tree perf_event_open pidfd_getfd pivot_root
    quotactl reboot request_key set_mempolicy setns settimeofday swapoff swapon syslog umount2
    unshare uselib userfaultfd vhangup
"""


def test_what_reaches_beyond_a_container_is_refused_by_default() -> None:
    section = built_in()
    assert set(REFUSED.split()) <= names(section, ERRNO)
    assert not set(REFUSED.split()) & names(section, ALLOW)


def test_what_programs_need_is_allowed() -> None:
    everyday = """accept4 chown chroot clone execve fchmodat2 futex getrandom ioctl mknod mmap
        openat openat2 pidfd_open prctl ptrace rseq seccomp setuid socketpair statx write"""
    section = built_in()
    allowed = names(section, ALLOW) | names(section, ALLOW, always=False)
    assert set(everyday.split()) <= allowed


def test_no_call_is_both_refused_and_allowed_in_full() -> None:
    for capabilities in (frozenset[str](), USUAL, EVERY):
        section = built_in(capabilities)
        assert not names(section, ALLOW) & names(section, ERRNO)


@pytest.mark.parametrize(
    ("capability", "opened"),
    [
        ("SYS_ADMIN", {"mount", "setns", "unshare", "clone3", "bpf", "syslog", "sethostname"}),
        ("SYS_BOOT", {"reboot"}),
        ("SYS_MODULE", {"init_module", "finit_module", "delete_module"}),
        ("SYS_PACCT", {"acct"}),
        ("SYS_PTRACE", {"kcmp", "pidfd_getfd", "process_madvise"}),
        ("SYS_RAWIO", {"iopl", "ioperm"}),
        ("SYS_TIME", {"settimeofday", "clock_settime"}),
        ("SYS_TTY_CONFIG", {"vhangup"}),
        ("SYS_NICE", {"mbind", "set_mempolicy", "get_mempolicy"}),
        ("SYSLOG", {"syslog"}),
        ("BPF", {"bpf"}),
        ("PERFMON", {"perf_event_open"}),
        ("DAC_READ_SEARCH", {"open_by_handle_at"}),
    ],
)
def test_a_capability_opens_its_calls(capability: str, opened: set[str]) -> None:
    section = built_in(USUAL | {f"CAP_{capability}"})
    assert opened <= names(section, ALLOW)
    assert not opened & names(section, ERRNO)


def test_new_namespaces_vsock_and_personalities_are_told_by_their_arguments() -> None:
    section = built_in()
    conditional = [e for e in section["syscalls"] if "args" in e]
    vsock = [e for e in conditional if e["names"] == ["socket"]]
    assert [(e["action"], e["args"][0]["value"], e["args"][0]["op"]) for e in vsock] == [
        (ALLOW, 40, "SCMP_CMP_NE"),
        (ERRNO, 40, "SCMP_CMP_EQ"),
    ]
    clones = [e for e in conditional if e["names"] == ["clone"]]
    mask = clones[0]["args"][0]["value"]
    assert clones[0]["args"][0] == {
        "index": 0, "value": mask, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ",
    }  # fmt: skip
    # Each single bit of it is refused with EPERM, not only unknown.
    assert sum(e["args"][0]["value"] for e in clones[1:]) == mask
    assert {(e["action"], e["errnoRet"]) for e in clones[1:]} == {(ERRNO, 1)}
    personalities = {e["args"][0]["value"] for e in conditional if e["names"] == ["personality"]}
    assert personalities == {0, 8, 0x20000, 0x20008, 0xFFFFFFFF}
    assert "clone3" not in names(section, ALLOW), "what is not named answers ENOSYS"
    assert section["defaultErrnoRet"] == 38


def test_tracing_depends_on_the_kernels_version() -> None:
    assert "ptrace" in names(built_in(kernel=(4, 8)), ALLOW)
    assert "ptrace" not in names(built_in(kernel=(4, 7)), ALLOW)
    assert "ptrace" in names(built_in(USUAL | {"CAP_SYS_PTRACE"}, kernel=(4, 7)), ALLOW)


@pytest.mark.parametrize(
    ("machine", "architectures", "only"),
    [
        ("x86_64", ["X86_64", "X86", "X32"], "modify_ldt"),
        ("aarch64", ["AARCH64", "ARM"], "arm_sync_file_range"),
        ("s390x", ["S390X", "S390"], "s390_runtime_instr"),
        ("riscv64", ["RISCV64"], "riscv_flush_icache"),
    ],
)
def test_every_instruction_set_of_the_machine_is_covered(
    machine: str, architectures: list[str], only: str
) -> None:
    section = built_in(machine=machine)
    assert section["architectures"] == [f"SCMP_ARCH_{name}" for name in architectures]
    assert only in names(section, ALLOW)
    others = {"modify_ldt", "arm_sync_file_range", "s390_runtime_instr", "riscv_flush_icache"}
    assert not (others - {only}) & names(section, ALLOW)


def test_the_flags_of_clone_are_the_second_argument_on_s390() -> None:
    clones = [e for e in built_in(machine="s390x")["syscalls"] if e["names"] == ["clone"]]
    assert [e["args"][0]["index"] for e in clones] == [1]


def test_the_program_is_made_once_for_each_set_of_capabilities() -> None:
    first = seccomp_filter("", USUAL, "x86_64", (6, 1))
    assert first is seccomp_filter("", USUAL, "x86_64", (6, 1))
    assert first.program
    assert len(first.program) % 8 == 0
    code, _, _, offset = struct.unpack("<HBBI", first.program[:8])
    assert (code, offset) == (0x20, 4), "it begins by loading the architecture"
    assert first.program != seccomp_filter("", EVERY, "x86_64", (6, 1)).program


def test_what_a_program_cannot_say_is_left_to_the_runtime() -> None:
    section = {"defaultAction": ALLOW, "syscalls": []}
    assert compiled(section)
    assert compiled({**section, "listenerPath": "/s"}) == b""
    assert compiled({**section, "defaultAction": "SCMP_ACT_NOTIFY"}) == b""


# -- one's own -------------------------------------------------------------------------------------


def test_entries_are_kept_as_they_are() -> None:
    compared = [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]
    assert own(
        entry("read"), entry("write", args=compared), flags=["SECCOMP_FILTER_FLAG_LOG"],
        defaultErrnoRet=13, architectures=["SCMP_ARCH_X86_64"],
    ) == {
        "defaultAction": ERRNO,
        "defaultErrnoRet": 13,
        "flags": ["SECCOMP_FILTER_FLAG_LOG"],
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [
            {"names": ["read"], "action": ALLOW},
            {"names": ["write"], "action": ALLOW, "args": compared},
        ],
    }  # fmt: skip


def test_the_older_form_with_one_name_is_read() -> None:
    assert own({"name": "read", "action": ALLOW})["syscalls"] == [
        {"names": ["read"], "action": ALLOW}
    ]


@pytest.mark.parametrize(
    ("condition", "applies"),
    [
        ({"includes": {"caps": ["CAP_CHOWN"]}}, True),
        ({"includes": {"caps": ["CAP_CHOWN", "CAP_SYS_ADMIN"]}}, False),
        ({"excludes": {"caps": ["CAP_SYS_ADMIN"]}}, True),
        ({"excludes": {"caps": ["CAP_CHOWN", "CAP_SYS_ADMIN"]}}, False),
        ({"includes": {"arches": ["amd64", "x32"]}}, True),
        ({"includes": {"arches": ["arm64"]}}, False),
        ({"excludes": {"arches": ["amd64"]}}, False),
        ({"includes": {"minKernel": "6.1"}}, True),
        ({"includes": {"minKernel": "6.2"}}, False),
        ({"includes": {"minKernel": "4.19"}}, True),
        ({"includes": {}, "excludes": {}}, True),
    ],
)
def test_conditions_decide_what_applies(condition: dict[str, Any], applies: bool) -> None:
    assert bool(own(entry("read", **condition))["syscalls"]) is applies


def test_what_is_said_twice_or_holds_anyway_is_left_out() -> None:
    section = own(
        entry("read", "write"), entry("read"), {"names": ["bpf"], "action": ERRNO, "errnoRet": 1}
    )
    assert section["syscalls"] == [{"names": ["read", "write"], "action": ALLOW}]
    assert own({"names": ["bpf"], "action": ERRNO, "errnoRet": 2})["syscalls"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "defaultAction"),
        ('{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"action":"SCMP_ACT_ALLOW"}]}', "without"),
        ('{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"]}]}', "no action"),
        (
            '{"defaultAction":"SCMP_ACT_ALLOW","architectures":["a"],"archMap":[{"architecture":"b"}]}',
            "exclude each other",
        ),
    ],
)
def test_what_is_no_profile_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        parse_profile(text)
    assert caught.value.code == "seccomp-invalid"


def test_a_version_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput, match="minKernel"):
        own(entry("read", includes={"minKernel": "new"}))
