"""Network and mount namespaces for the whole test process, with a way out to the network.

Nothing here changes the host's interfaces, routes, firewall or mounts: the process leaves them
behind. The way out is slirp4netns, a user-mode network stack that runs in the namespace left.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_BIND = 0x1000
MS_MOVE = 0x2000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1

# slirp4netns' own name server; used where the host's one listens on a loopback address, which
# means another loopback in here.
SLIRP_DNS = "10.0.2.3"

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Isolation:
    """The namespaces in force: where tests keep their files, and who must not be called a leak."""

    work_dir: Path
    reaper: int
    online: bool
    """Whether connections to the outside can be made."""
    keep: set[int]
    """Processes that live as long as the session."""
    way_out: _Outside


def enter() -> Isolation:
    """Moves this process into private namespaces; call before any thread exists.

    The process that continues is a child: its parent stays behind as the reaper, which adopts
    every orphan of the tests and kills what is left when the session ends.
    """
    work_dir = Path(tempfile.mkdtemp(prefix="pystack-t-"))
    reaper = _continue_below_a_reaper(work_dir)
    way_out = _outside_helper()
    if _libc.unshare(CLONE_NEWNS | CLONE_NEWNET):
        raise _os_error("unshare")
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    _fresh_sysfs()
    _loopback_up()
    for directory in ("/run/pystack", "/var/lib/pystack", "/etc/pystack"):
        if Path(directory).is_dir():
            _mount("tmpfs", directory, "tmpfs", 0)
    _mount("tmpfs", str(work_dir), "tmpfs", 0)
    online = way_out.connect()
    if online and _resolver_is_loopback():
        resolv = work_dir / "resolv.conf"
        resolv.write_text(f"nameserver {SLIRP_DNS}\n")
        _mount(str(resolv), str(Path("/etc/resolv.conf").resolve()), None, MS_BIND)
    return Isolation(work_dir, reaper, online, {os.getpid(), way_out.pid}, way_out)


def leave(isolation: Isolation) -> None:
    """Ends the way out; the rest goes with the process."""
    isolation.way_out.close()


class _Outside:
    """A process that stayed in the old namespace and becomes slirp4netns when told to."""

    def __init__(self, process: subprocess.Popen[bytes] | None, ready: int, alive: int) -> None:
        self._process = process
        self._ready = ready
        self._alive = alive

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def connect(self) -> bool:
        if self._process is None or self._process.stdin is None:
            return False
        self._process.stdin.write(f"{os.getpid()}\n".encode())
        self._process.stdin.close()
        # Blocks until slirp4netns has configured the interface, or has ended without.
        with os.fdopen(self._ready, "rb") as ready:
            return ready.read(1) == b"1"

    def close(self) -> None:
        if self._process:
            os.close(self._alive)
            self._process.wait(timeout=10)


def _outside_helper() -> _Outside:
    if not shutil.which("slirp4netns"):
        return _Outside(None, -1, -1)
    ready_r, ready_w = os.pipe()
    # slirp4netns ends when the other end of this pipe is closed: with this process, however it
    # ends.
    exit_r, exit_w = os.pipe()
    script = (
        "read -r target && exec slirp4netns --configure --mtu=65520 --disable-host-loopback "
        f'--ready-fd={ready_w} --exit-fd={exit_r} "$target" tap0'
    )
    process = subprocess.Popen(
        ["/bin/sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(ready_w, exit_r),
    )
    os.close(ready_w)
    os.close(exit_r)
    return _Outside(process, ready_r, exit_w)


def _continue_below_a_reaper(work_dir: Path) -> int:
    """Forks; the child returns with the parent's pid, the parent reaps until the child ends, and
    then removes `work_dir`, which is empty outside of the child's mount namespace."""
    if _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise _os_error("prctl")
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        return parent

    def forward(number: int, _frame: FrameType | None) -> None:
        os.kill(child, number)

    signal.signal(signal.SIGTERM, forward)
    # The terminal sends these to the whole process group: the child has its own.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    status = 1
    while True:
        pid, code = os.wait()
        if pid == child:
            status = os.waitstatus_to_exitcode(code)
            break
    _kill_descendants(parent)
    with contextlib.suppress(OSError):
        work_dir.rmdir()
    os._exit(status if status >= 0 else 128 - status)


def _kill_descendants(root: int) -> None:
    """Kills and reaps everything below `root`, orphans of the killed included."""
    while pids := descendants(root):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.wait()


def descendants(root: int) -> set[int]:
    """The pids of all processes below `root`, zombies included (proc(5))."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_bytes()
                parents[int(entry.name)] = int(stat.rpartition(b")")[2].split()[1])
    found: set[int] = set()
    for pid in parents:
        line = [pid]
        while (up := parents.get(line[-1], 0)) and up != root:
            line.append(up)
        if up == root:
            found.update(line)
    return found


def _fresh_sysfs() -> None:
    """Makes /sys show this network namespace; the cgroup trees below it are carried over."""
    aside = tempfile.mkdtemp(prefix="pystack-cg-")
    try:
        _mount("/sys/fs/cgroup", aside, None, MS_BIND | MS_REC)
        _mount("sysfs", "/sys", "sysfs", 0)
        _mount(aside, "/sys/fs/cgroup", None, MS_MOVE)
    finally:
        Path(aside).rmdir()


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sH14s", b"lo", IFF_UP, b"")
        fcntl.ioctl(sock.fileno(), SIOCSIFFLAGS, request)


def _resolver_is_loopback() -> bool:
    lines = Path("/etc/resolv.conf").read_text().splitlines()
    servers = [line.split()[1] for line in lines if line.startswith("nameserver ")]
    return all(server.startswith("127.") or server == "::1" for server in servers)


def _mount(source: str, target: str, kind: str | None, flags: int) -> None:
    kind_bytes = kind.encode() if kind else None
    if _libc.mount(source.encode(), target.encode(), kind_bytes, ctypes.c_ulong(flags), None):
        raise _os_error(f"mount {source} on {target}")


def _os_error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {errno.errorcode.get(number, number)}")
