"""Where a contestant lives: network and mount namespaces of its own, and a root where it has one.

A place is a pair of threads. One is inside, in the contestant's root; what is started from it is
inside too, without a program in between that would cost time. The other has the host's files and
the place's network. Both go with the process, and with them every mount and interface made there.

Source: unshare(2), pivot_root(2), pid_namespaces(7).
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.aio import libc
from orchestrator.network import rtnetlink
from orchestrator.network.netlink import Netlink

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
MARK = "PYSTACK_BENCH"
"""The environment variable that every process of a contestant has: NAME@DIRECTORY."""
HOST_ADDRESS = "10.254.0.1"
"""What the host is called in every place, besides 127.0.0.1."""
COMMAND_S = 900.0
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_HYBRID = "unified"


class Place:
    """Enter with `with`; `root` is a directory with another distribution, None for the host's."""

    def __init__(self, name: str, directory: Path, root: Path | None) -> None:
        self.directory = directory
        self.root = root
        self.mark = f"{name}@{directory.parent}"
        self._inside = ThreadPoolExecutor(1, f"{name}-inside")
        self._beside = ThreadPoolExecutor(1, f"{name}-beside")

    def open(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.inside(self._enter)
        self.beside(self._join, self.inside(_own_network))

    def close(self) -> None:
        self._inside.shutdown()
        self._beside.shutdown()

    def inside(self, work: Callable[..., T], *arguments: Any) -> T:
        """What `work` returns, run in the place."""
        return self._inside.submit(work, *arguments).result()

    def beside(self, work: Callable[..., T], *arguments: Any) -> T:
        """What `work` returns, run with the host's files and the place's network."""
        return self._beside.submit(work, *arguments).result()

    def run(self, argv: Sequence[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """How a command that ran in the place ended. Raises: RuntimeError: it did not end."""
        return self.inside(_run, argv, env)

    def _enter(self) -> None:
        libc.unshare(libc.CLONE_NEWNS | CLONE_NEWNET)
        libc.mount("none", "/", flags=libc.MS_REC | libc.MS_PRIVATE)
        cgroups = self.directory / "cgroups"
        cgroups.mkdir()
        libc.mount("/sys/fs/cgroup", str(cgroups), flags=libc.MS_BIND | libc.MS_REC)
        if (cgroups / _HYBRID).is_dir():
            # crun refuses a second hierarchy with controllers; v1 alone serves every engine alike.
            # Something is put in its place, or directories would be made in what is below.
            libc.umount(str(cgroups / _HYBRID), libc.MNT_DETACH)
            libc.mount("tmpfs", str(cgroups / _HYBRID), "tmpfs", data="mode=755,size=256m")
        if self.root is not None:
            self._furnish(self.root)
        top = str(self.root or "")
        libc.mount("sysfs", f"{top}/sys", "sysfs")
        libc.mount(str(cgroups), f"{top}/sys/fs/cgroup", flags=libc.MS_BIND | libc.MS_REC)
        libc.umount(str(cgroups), libc.MNT_DETACH)
        libc.mount("tmpfs", f"{top}/run", "tmpfs")
        containers = Path(f"{top}/var/lib/containers")
        if containers.is_dir():
            libc.mount("tmpfs", str(containers), "tmpfs")
        # Podman keeps its locks there, whatever the directories it is given.
        libc.mount("tmpfs", f"{top}/dev/shm", "tmpfs")
        if self.root is not None:
            _pivot(self.root)
        _network_up()

    def _furnish(self, root: Path) -> None:
        libc.mount(str(root), str(root), flags=libc.MS_BIND)
        libc.mount("proc", str(root / "proc"), "proc")
        libc.mount("/dev", str(root / "dev"), flags=libc.MS_BIND | libc.MS_REC)
        libc.mount("tmpfs", str(root / "tmp"), "tmpfs")
        shared = self.directory.parent
        target = root / shared.relative_to("/")
        # Below a tmpfs, so that nothing of it stays in the root.
        libc.mount("tmpfs", str(target.parent), "tmpfs")
        target.mkdir()
        libc.mount(str(shared), str(target), flags=libc.MS_BIND)

    @staticmethod
    def _join(network: int) -> None:
        libc.setns(network, CLONE_NEWNET)
        os.close(network)


def _run(argv: Sequence[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            argv,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=COMMAND_S,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{' '.join(argv)}: did not end within {COMMAND_S:.0f} s") from error
    except OSError as error:
        raise RuntimeError(f"{' '.join(argv)}: {error}") from error


def _own_network() -> int:
    return os.open(f"/proc/self/task/{gettid()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def gettid() -> int:
    """The calling thread's number in the process's namespace."""
    return int(Path("/proc/thread-self").readlink().name)


def _network_up() -> None:
    """A loopback, and an address of a host's with a default route, which leads nowhere."""
    with Netlink() as link:
        link.do(
            rtnetlink.link_up("lo"),
            rtnetlink.new_cable("up0", "up1", 1500),
            rtnetlink.link_up("up1"),
            rtnetlink.link_up("up0"),
        )
        index = socket.if_nametoindex("up0")
        address = socket.inet_aton(HOST_ADDRESS)
        link.do(
            rtnetlink.add_address(index, address, 24),
            rtnetlink.default_route(socket.inet_aton("10.254.0.2"), index),
        )


def _pivot(root: Path) -> None:
    """Makes root the calling thread's root, and lets go of the old one."""
    os.chdir(root)
    call = ctypes.CDLL(None, use_errno=True).syscall
    if call(_PIVOT_ROOT[os.uname().machine], b".", b"."):
        number = ctypes.get_errno()
        raise OSError(number, f"pivot_root {root}: {os.strerror(number)}")
    libc.umount(".", libc.MNT_DETACH)
    os.chdir("/")
