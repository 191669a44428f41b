"""Capabilities, the seccomp filter and forbidden privileges, seen from inside of real containers.

Every container has the defaults, unless the test says otherwise.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.runtime.bundle import exec_process, read_process
from tests.support.builds import build_place
from tests.support.confined import LENT, call_number, calling, perl
from tests.support.containers import Place
from tests.support.isolation import Isolation
from tests.support.oci import OciImage

# Docker's default set, as the kernel writes it.
CAPABILITIES = "00000000a80425fb"

# -- identity --------------------------------------------------------------------------------------


async def test_root_has_dockers_capabilities_a_filter_and_no_more(confined: Place) -> None:
    lines = await confined.output_of("cat /proc/self/status")
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert (status["CapBnd"], status["CapEff"], status["CapPrm"]) == (CAPABILITIES,) * 3
    assert (status["CapInh"], status["CapAmb"]) == ("0" * 16,) * 2
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "0")


async def test_a_later_command_is_held_by_the_same(confined: Place) -> None:
    async with confined.running("sleep", "600") as container:
        for process in (
            ["cat", "/proc/self/status"],
            exec_process(read_process(container.bundle.config), ["cat", "/proc/self/status"]),
        ):
            done = await confined.runtime.exec(container.id, process, timeout_s=10)
            lines = done.stdout.decode().splitlines()
            status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
            assert (status["CapBnd"], status["CapEff"]) == (CAPABILITIES,) * 2
            assert status["Seccomp"] == "2"
        refused = await confined.runtime.exec(container.id, ["unshare", "-U", "true"], timeout_s=10)
        assert refused.exit_code != 0
        assert b"not permitted" in refused.stderr


async def test_new_privileges_can_be_forbidden(confined: Place, confined_root: Path) -> None:
    program = confined_root / "bin/who"
    program.unlink(missing_ok=True)
    program.write_bytes(Path("/usr/bin/id").read_bytes())
    program.chmod(0o4755)
    spec = {"user": "bob", "mounts": LENT}
    assert await confined.output_of("/bin/who -u", **spec) == ["0"]
    for option in ("no-new-privileges", "no-new-privileges:true"):
        assert await confined.output_of("/bin/who -u", security_opt=(option,), **spec) == ["1000"]


# -- system calls ----------------------------------------------------------------------------------

NS = {"NEWNS": 0x20000, "NEWUSER": 0x10000000, "NEWNET": 0x40000000, "NEWPID": 0x20000000}
# The call, its arguments as perl, and what it must answer with. An argument that is wrong would
# give another answer if the call were let through.
TRIES: Mapping[str, tuple[str, int]] = {
    "acct": ("0", errno.EPERM),
    "add_key": ("'user', 'a', 'b', 1, -4", errno.EPERM),
    "request_key": ("'user', 'a', 0, -4", errno.EPERM),
    "keyctl": ("0, -4, 1", errno.EPERM),
    "bpf": ("0, 0, 0", errno.EPERM),
    "clock_settime": ("0, 0", errno.EPERM),
    "settimeofday": ("0, 0", errno.EPERM),
    "clone": (f"{NS['NEWUSER'] | 17}, 0, 0, 0, 0", errno.EPERM),
    "clone3": ("0, 0", errno.ENOSYS),
    "delete_module": ("'none', 0", errno.EPERM),
    "finit_module": ("-1, '', 0", errno.EPERM),
    "init_module": ("0, 0, ''", errno.EPERM),
    "fsopen": ("'tmpfs', 0", errno.EPERM),
    "move_mount": ("-1, '', -1, '', 0", errno.EPERM),
    "open_tree": ("-1, '/', 0", errno.EPERM),
    "mount": ("'none', '/tmp', 'tmpfs', 0, 0", errno.EPERM),
    "umount2": ("'/proc/kcore', 0", errno.EPERM),
    "pivot_root": ("'/', '/'", errno.EPERM),
    "unshare": (f"{NS['NEWUSER']}", errno.EPERM),
    "setns": ("-1, 0", errno.EPERM),
    "get_mempolicy": ("0, 0, 0, 0, 0", errno.EPERM),
    "io_uring_setup": ("0, 0", errno.EPERM),
    "ioperm": ("0, 1, 1", errno.EPERM),
    "iopl": ("3", errno.EPERM),
    "kcmp": ("1, 1, 0, 0, 0", errno.EPERM),
    "kexec_load": ("0, 0, 0, 0", errno.EPERM),
    "lookup_dcookie": ("0, 0, 0", errno.EPERM),
    "open_by_handle_at": ("-1, 0, 0", errno.EPERM),
    "perf_event_open": ("0, 0, -1, -1, 0", errno.EPERM),
    "pidfd_getfd": ("-1, 0, 0", errno.EPERM),
    "quotactl": ("0, 0, 0, 0", errno.EPERM),
    # 0 is LINUX_REBOOT_CMD_CAD_OFF: harmless, should it be let through.
    "reboot": ("0xfee1dead, 672274793, 0, 0", errno.EPERM),
    "sethostname": ("'x', 1", errno.EPERM),
    "swapon": ("'/none', 0", errno.EPERM),
    "swapoff": ("'/none'", errno.EPERM),
    "syslog": ("3, 0, 0", errno.EPERM),
    "userfaultfd": ("1", errno.EPERM),
    "vhangup": ("", errno.EPERM),
    "socket": ("40, 1, 0", errno.EPERM),
    # Allowed, and then the kernel asks for the capability.
    "adjtimex": ("pack('L x4 q x200', 1, 0)", errno.EPERM),
    "mknod": ("'/dev/shm/allowed', 0010600, 0", 0),
    "ptrace": ("0, 0, 0, 0", 0),
    "personality": ("0xffffffff", 0),
    "getpid": ("", 0),
}


async def test_system_calls_that_reach_beyond_a_container_are_refused(confined: Place) -> None:
    script = calling({call: arguments for call, (arguments, _) in TRIES.items()})
    lines = await confined.output_of(script, mounts=LENT)
    found = {call: int(code) for call, code in (line.split() for line in lines)}
    assert found == {call: code for call, (_, code) in TRIES.items()}


async def test_a_call_that_nobody_knows_does_not_exist(confined: Place) -> None:
    script = perl("syscall(9999); print $! + 0")
    assert await confined.output_of(script, mounts=LENT) == [str(errno.ENOSYS)]


async def test_without_a_filter_the_kernel_decides(confined: Place) -> None:
    tries = {call: TRIES[call][0] for call in ("keyctl", "unshare", "userfaultfd", "mount")}
    lines = await confined.output_of(
        calling(tries), mounts=LENT, security_opt=("seccomp=unconfined",)
    )
    found = dict(line.split() for line in lines)
    assert found["keyctl"] == "0"
    assert found["unshare"] == "0"
    # In the user namespace of its own that it now has, mounting fails for want of another.
    assert found["mount"] == str(errno.EPERM)


async def test_each_container_has_a_session_keyring_of_its_own(confined: Place) -> None:
    ask = perl(f"@a = ({call_number('keyctl')}, 0, -3, 0); print syscall(shift @a, @a)")
    open_ = {"mounts": LENT, "security_opt": ("seccomp=unconfined",)}
    found = [int((await confined.output_of(ask, **open_))[0]) for _ in range(2)]
    # KEYCTL_GET_KEYRING_ID of KEY_SPEC_SESSION_KEYRING, for this process.
    mine = ctypes.CDLL(None).syscall(call_number("keyctl"), 0, -3, 0)
    assert min(found) > 0
    assert len({mine, *found}) == 3


async def test_a_capability_opens_the_calls_that_belong_to_it(confined: Place) -> None:
    tries = {"mount": "'none', '/tmp', 'tmpfs', 0, 0", "keyctl": "0, -4, 1", "syslog": "3, 0, 0"}
    lines = await confined.output_of(calling(tries), mounts=LENT, cap_add=("SYS_ADMIN",))
    found = dict(line.split() for line in lines)
    assert (found["mount"], found["keyctl"]) == ("0", str(errno.EPERM))


async def test_a_profile_of_ones_own_is_applied(confined: Place) -> None:
    profile = (
        '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":'
        '[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28}]}'
    )
    lines = await confined.output_of(
        "mkdir /tmp/x 2>&1 || true; unshare -U true && echo unshared",
        security_opt=(f"seccomp={profile}",),
    )
    assert lines == ["mkdir: can't create directory '/tmp/x': No space left on device", "unshared"]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="another machine's instructions")
@pytest.mark.parametrize(
    ("call", "argument", "expected"),
    [(310, NS["NEWUSER"], errno.EPERM), (79, 0, errno.EPERM), (60, 0o22, 0)],
    ids=["unshare", "settimeofday", "umask"],
)
async def test_the_filter_covers_32_bit_programs_too(
    confined: Place, confined_root: Path, call: int, argument: int, expected: int
) -> None:
    program = confined_root / f"bin/thirty-two-{call}"
    program.write_bytes(elf32(call, argument))
    program.chmod(0o755)
    async with confined.running(f"/bin/{program.name}") as container:
        assert await container.ended() == expected


def elf32(call: int, argument: int) -> bytes:
    """A program for i386 that makes one system call and exits with its errno, or 0."""
    code = (
        b"\xb8" + struct.pack("<I", call)  # mov eax, call
        + b"\xbb" + struct.pack("<I", argument)  # mov ebx, argument
        + b"\x31\xc9\xcd\x80"  # xor ecx, ecx; int 0x80
        + b"\x31\xdb\x85\xc0\x79\x04"  # xor ebx, ebx; test eax, eax; jns over
        + b"\xf7\xd8\x89\xc3"  # neg eax; mov ebx, eax
        + b"\xb8\x01\x00\x00\x00\xcd\x80"  # over: mov eax, 1 (exit); int 0x80
    )  # fmt: skip
    base, start = 0x08048000, 84
    size = start + len(code)
    ident = b"\x7fELF\x01\x01\x01" + bytes(9)
    header = struct.pack(
        "<16sHHIIIIIHHHHHH", ident, 2, 3, 1, base + start, 52, 0, 0, 52, 32, 1, 0, 0, 0
    )
    segment = struct.pack("<IIIIIIII", 1, 0, base, base, size, size, 5, 0x1000)
    return header + segment + code


async def test_what_a_build_runs_is_held_by_the_same(
    isolation: Isolation, busybox_image: OciImage, tmp_path: Path, cgroup_parent: str
) -> None:
    directory = isolation.work_dir / tmp_path.name
    async with build_place(directory, busybox_image, "busybox", cgroup_parent) as place:
        await place.build(
            "FROM busybox\n"
            "RUN grep -Eq '^Seccomp:.2' /proc/self/status\n"
            f"RUN grep -q {CAPABILITIES} /proc/self/status\n"
            "RUN ! unshare -U true && ! mount -t tmpfs t /tmp\n"
        )
