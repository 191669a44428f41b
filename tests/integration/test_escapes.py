"""Ways out of a container that are known, each tried in a real one, and each seen refused.

Every container has the defaults, unless the test says otherwise.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.errors import PystackError
from orchestrator.model.container import Mount
from tests.support.confined import LENT, calling, perl
from tests.support.containers import Place, make_root

# -- files -----------------------------------------------------------------------------------------

GROUPS = "$(grep -E ' cgroup2? ' /proc/self/mounts | cut -d' ' -f2)"
# Each must fail, by an exit code or by leaving things as they are.
WRITES = {
    "core_pattern": "echo '|/evil' > /proc/sys/kernel/core_pattern",
    "modprobe": "echo /evil > /proc/sys/kernel/modprobe",
    "overcommit": "echo 1 > /proc/sys/vm/overcommit_memory",
    "sysrq": "echo s > /proc/sysrq-trigger",
    "irq": "echo 1 > /proc/irq/default_smp_affinity",
    "uevent helper": "echo /evil > /sys/kernel/uevent_helper",
    "kernel module parameter": "echo 1 > /sys/module/printk/parameters/time",
    "queue of a disk": "for f in /sys/block/*/queue/nr_requests; do echo 1 > $f; done",
    "a cgroup below": f"for d in {GROUPS}; do mkdir $d/below && exit 0; done; false",
    "release_agent": f"for d in {GROUPS}; do echo /e > $d/release_agent && exit 0; done; false",
    "own memory limit": "echo -1 > /sys/fs/cgroup/memory/memory.limit_in_bytes",
    "device rules": "echo a > /sys/fs/cgroup/devices/devices.allow",
    "remount /proc/sys": "mount -o remount,rw /proc/sys",
    "remount /sys": "mount -o remount,rw /sys",
    "unmount what masks": "umount /proc/kcore || umount /sys/firmware",
    "mount": "mount -t proc p /tmp",
    "bind": "mount -o bind / /tmp",
    "log of the kernel": "dmesg",
    "log of the kernel as a device": "mknod /tmp/kmsg c 1 11 && head -c 1 /tmp/kmsg",
    "memory": "mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem",
    "ports": "mknod /tmp/port c 1 4 && head -c 1 /tmp/port",
    "kvm": "mknod /tmp/kvm c 10 232 && head -c 1 /tmp/kvm",
    "clock": "! date -s 2001-01-01 2>&1 | grep permitted",
    "clock of the hardware": "hwclock -w",
    "host name": "hostname other",
    "nice": "nice -n -5 true 2>&1 | grep . && false",
    "interface": "ip link set lo mtu 1000",
    "address": "ip address add 10.9.8.7/8 dev lo",
    "raw route": "ip route add 10.9.8.0/24 dev lo",
    "oom score": "echo -1000 > /proc/self/oom_score_adj",
    "user namespace": "unshare -U true",
    "mount namespace": "unshare -m true",
    "namespace of another": "nsenter -t 1 -n true",
    "module": "insmod /none.ko || modprobe none",
    "swap": "swapon /none",
}  # fmt: skip
MASKED = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/latency_stats", "/proc/scsi")


def attempts(tries: Mapping[str, str]) -> str:
    return "\n".join(
        f"( {command} ) >/dev/null 2>&1 && echo '{name}'" for name, command in tries.items()
    )


async def test_nothing_of_the_machine_can_be_written_or_mounted(confined: Place) -> None:
    files = [path for path in KERNEL_FILES if Path(path).exists()]
    before = {path: Path(path).read_text() for path in files}
    disks = [path.stat() for path in Path("/dev").iterdir() if path.is_block_device()]
    tries = {
        f"disk {n}": f"mknod /tmp/disk{n} b {os.major(d.st_rdev)} {os.minor(d.st_rdev)}"
        f" && head -c 1 /tmp/disk{n}"
        for n, d in enumerate(disks)
    }
    script = attempts({**WRITES, **tries}) + "\nls /tmp; rm -f /tmp/*"
    made = ["kmsg", "kvm", "mem", "port", *(f"disk{n}" for n in range(len(disks)))]
    assert await confined.output_of(script) == sorted(made), "nodes can be made, and not opened"
    assert {path: Path(path).read_text() for path in files} == before


KERNEL_FILES = (
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/vm/overcommit_memory",
)


async def test_what_tells_of_the_machine_is_masked(confined: Place) -> None:
    script = "; ".join(
        f"if [ -d {path} ]; then ls -A {path}; else cat {path} 2>/dev/null; fi"
        for path in (*MASKED, "/sys/firmware", "/proc/acpi", "/sys/devices/virtual/powercap")
    )
    assert await confined.output_of(f"{script}; true") == []


async def test_every_mount_of_the_kernels_is_read_only_or_without_devices(confined: Place) -> None:
    lines = await confined.output_of("cat /proc/self/mounts")
    options = {line.split()[1]: set(line.split()[3].split(",")) for line in lines}
    for target in (
        "/proc/sys",
        "/proc/irq",
        "/proc/bus",
        "/proc/fs",
        "/proc/sysrq-trigger",
        "/sys",
    ):
        assert not Path(target).exists() or "ro" in options[target], target
    groups = [line.split() for line in lines if line.split()[2] in ("cgroup", "cgroup2")]
    assert groups
    assert all("ro" in line[3].split(",") for line in groups)
    for target in ("/proc", "/sys", "/dev/mqueue", "/dev/shm"):
        assert {"nosuid", "nodev", "noexec"} <= options[target], target
    assert {"nosuid", "noexec"} <= options["/dev/pts"]


async def test_the_engines_descriptors_do_not_reach_the_container(confined: Place) -> None:
    held = os.open("/etc/hostname", os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        lines = await confined.output_of("exec ls -l /proc/self/fd")
    finally:
        os.close(held)
    links = [line.split(" -> ") for line in lines if " -> " in line]
    assert [words[0].split()[-1] for words in links] == ["0", "1", "2"]
    targets = [words[1] for words in links]
    assert all(target.startswith(("pipe:", "/dev/null")) for target in targets), targets


async def test_a_later_command_has_no_descriptor_too_many(confined: Place) -> None:
    async with confined.running("sleep", "600") as container:
        done = await confined.runtime.exec(
            container.id, ["sh", "-c", "exec ls -l /proc/$$/fd"], timeout_s=10
        )
        links = [line for line in done.stdout.decode().splitlines() if " -> " in line]
        assert [line.split(" -> ")[0].split()[-1] for line in links] == ["0", "1", "2"]


async def test_a_root_in_the_root_is_still_inside(confined: Place, confined_root: Path) -> None:
    (confined_root / "etc/marker").write_text("inside")
    script = perl(
        'mkdir "/tmp/jail"; chroot "/tmp/jail" or die; chdir ".." for 1..50; chroot ".";'
        ' open F, "<", "/etc/marker" or die $!; print <F>'
    )
    assert await confined.output_of(script, mounts=LENT) == ["inside"]


async def test_the_runtimes_program_cannot_be_overwritten(
    confined: Place, confined_root: Path
) -> None:
    program = Path(confined.runtime.path).resolve()
    before = hashlib.sha256(program.read_bytes()).hexdigest()
    # A command whose interpreter is whatever runs it: the runtime itself, at that moment.
    (confined_root / "bin/again").write_text("#!/proc/self/exe\n")
    (confined_root / "bin/again").chmod(0o755)
    hunter = r"""
        $| = 1; $won = 0; $end = time + 8;
        while (time < $end && !-e "/tmp/stop") {
            for my $exe (glob "/proc/[0-9]*/exe") {
                my $is = readlink $exe // next;
                next if $is =~ m{^/(usr|bin)/} && $is !~ /crun|runc/;
                open(my $r, "<", $exe) or next;
                for (1 .. 200) { if (open my $w, "+<", "/proc/self/fd/" . fileno $r) { $won = 1 } }
            }
        }
        print $won;
    """
    (confined_root / "tmp/stop").unlink(missing_ok=True)
    script = perl(" ".join(hunter.split()))
    async with confined.running("sh", "-c", script, mounts=LENT) as container:
        for command in (["again"], ["true"], ["/proc/self/exe"]) * 4:
            await confined.runtime.exec(container.id, command, timeout_s=10)
        (confined_root / "tmp/stop").touch()
        assert await container.ended() == 0
    assert hashlib.sha256(program.read_bytes()).hexdigest() == before


@pytest.mark.parametrize("number", range(3, 13))
async def test_a_working_directory_cannot_be_a_descriptor_of_the_runtimes(
    confined: Place, tmp_path: Path, number: int
) -> None:
    """Where a runtime leaks a directory's descriptor, this would be a directory of the machine."""
    (tmp_path / "marker").write_text("of the machine")
    up = "../" * 12
    script = f"cat {up}{tmp_path}/marker; ls -d {up}proc/1/root{tmp_path}/marker"
    try:
        async with confined.running(
            "sh", "-c", script, working_dir=f"/proc/self/fd/{number}"
        ) as container:
            await container.ended()
            assert "of the machine" not in container.output()
    except PystackError:
        pass


# -- processes -------------------------------------------------------------------------------------


async def test_the_machines_processes_are_neither_seen_nor_reached(confined: Place) -> None:
    me = os.getpid()
    script = (
        f"ls /proc | grep -c '^[0-9]'; kill -0 {me} 2>/dev/null && echo reached;"
        f"ls /proc/{me} 2>/dev/null; true"
    )
    lines = await confined.output_of(script)
    assert len(lines) == 1
    assert int(lines[0]) <= 4


async def test_sharing_the_machines_processes_lends_no_power_over_them(confined: Place) -> None:
    me = os.getpid()
    script = f"ls /proc/{me}/root/ 2>/dev/null; cat /proc/{me}/environ 2>/dev/null;" + calling(
        {"ptrace": f"16, {me}, 0, 0"}
    )
    lines = await confined.output_of(script, mounts=LENT, namespaces={"pid": ""})
    assert lines == [f"ptrace {errno.EPERM}"]


# -- links that lead out ---------------------------------------------------------------------------


async def test_mounts_land_inside_whatever_links_the_image_has(
    confined: Place, tmp_path: Path
) -> None:
    victims = [tmp_path / f"victim{n}" for n in range(4)]
    for victim in victims:
        victim.mkdir()
        (victim / "file").write_text("untouched")
    given = tmp_path / "given"
    given.mkdir()
    (given / "hello").write_text("hello")
    other = make_root(tmp_path / "other")
    (other / "absolute").symlink_to(victims[0])
    (other / "relative").symlink_to("../../../../../../../../.." + str(victims[1]))
    (other / "deep").symlink_to(victims[2])
    (other / "etc/hosts").symlink_to(victims[3] / "file")
    (other / "etc/resolv.conf").symlink_to(victims[3] / "new")
    (confined.files / "hosts").write_text("127.0.0.1 localhost\n")
    (confined.files / "resolv.conf").write_text("nameserver 127.0.0.11\n")
    elsewhere = Place.__new__(Place)
    elsewhere.runtime, elsewhere.path, elsewhere.root = confined.runtime, confined.path, other
    elsewhere.cgroup_parent, elsewhere.files = confined.cgroup_parent, confined.files
    lines = await elsewhere.output_of(
        "cat /absolute/hello /relative/hello; echo; touch /deep/new; cat /etc/hosts; pwd -P",
        mounts=(
            Mount(kind="bind", target="/absolute", source=str(given)),
            Mount(kind="bind", target="/relative", source=str(given)),
            Mount(kind="tmpfs", target="/deep"),
        ),
        working_dir="/deep",
    )
    assert lines == ["hellohello", "127.0.0.1 localhost", str(victims[2])]
    for victim in victims:
        assert [path.name for path in victim.iterdir()] == ["file"]
        assert (victim / "file").read_text() == "untouched"


async def test_nothing_is_mounted_over_proc(confined: Place, tmp_path: Path) -> None:
    over = (Mount(kind="bind", target="/proc/self/attr", source=str(tmp_path)),)
    with pytest.raises(PystackError):
        await confined.output_of("true", mounts=over)


# -- and what programs do every day ----------------------------------------------------------------

EVERY_DAY = {
    "chown": "touch /dev/shm/a && chown 12:34 /dev/shm/a && chmod u+s /dev/shm/a",
    "become another": "busybox su bob -c 'test $(id -u) = 1000'",
    "a low port": "busybox su bob -c 'timeout 9 nc -l -p 80 -e true & sleep 0.2; kill $!'",
    "mkfifo and mknod": "mkfifo /tmp/f && mknod /tmp/n c 1 3 && echo > /tmp/n && rm /tmp/[fn]",
    "a session": "setsid true",
    "a priority": "nice -n 5 true",
    "a chroot": "mkdir -p /dev/shm/r && chroot / true",
    "a terminal": "script -qc true /dev/null",
    "trace": "strace -f -o /dev/shm/trace sh -c 'ls /' && grep -q execve /dev/shm/trace",
    "threads and perl": "perl -e 'use threads; threads->create(sub { 1 })->join'",
    "ping without rights": "busybox su bob -c \"perl -e 'use Socket; socket(S, 2, 2, 1) or die'\"",
    "a signal": "sleep 9 & kill $! && ! wait $!",
    "flock": "flock /dev/shm/lock true",
    "core limit": "ulimit -c 0",
}


async def test_ordinary_programs_work_as_ever(confined: Place) -> None:
    lines = await confined.output_of(attempts(EVERY_DAY), mounts=LENT)
    assert set(EVERY_DAY) - set(lines) == set()
