"""Debian's Podman as a neighbour on the same host: containers of the test's own, in this network
namespace."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.baseimages import busybox_root
from tests.support.netns import command

IMAGE = "localhost/neighbour:1"
# Its own defaults are above what this host lets root have.
LIMITS = ("--ulimit", "nofile=1000:1000", "--ulimit", "nproc=1000:1000")


@dataclass(frozen=True, slots=True)
class Podman:
    """A place of its own for everything that it keeps."""

    place: Path

    def run(self, *argv: str) -> str:
        """The output of a podman command that succeeds."""
        places = (f"--{name}={self.place / name}" for name in ("root", "runroot", "tmpdir"))
        # Copies instead of overlays: it leaves no mounts. crun refuses a hybrid cgroup layout.
        how = ("--storage-driver=vfs", "--runtime=runc", "--cgroup-manager=cgroupfs")
        return command("podman", *places, *how, *argv)

    def serve(self, word: str, port: int) -> str:
        """The id of a container that says the word to whoever connects to this host port."""
        script = f"while true; do echo {word} | nc -l -p 80; done"
        argv = ("run", "-d", *LIMITS, "-p", f"{port}:80", IMAGE, "sh", "-c", script)
        return self.run(*argv).strip()


def available() -> bool:
    return all(shutil.which(name) for name in ("podman", "runc", "iptables"))


@contextlib.contextmanager
def podman() -> Iterator[Podman]:
    """Podman for the length of the block, with the busybox image; its rules and interfaces go with
    it."""
    before = set(command("nft", "list", "tables").splitlines())
    mounted = Path("/proc/self/mountinfo").read_text()
    place = Path(tempfile.mkdtemp(prefix="pystack-neighbour-", dir="/var/lib"))
    one = Podman(place)
    try:
        busybox_root(place / "root.tar")
        one.run("import", str(place / "root.tar"), IMAGE)
        yield one
    finally:
        with contextlib.suppress(AssertionError):
            one.run("rm", "-fa", "-t", "0")
        for table in set(command("nft", "list", "tables").splitlines()) - before:
            if "pystack" not in table:
                command("nft", "delete", *table.split())
        subprocess.run(["ip", "link", "delete", "podman0"], capture_output=True, check=False)
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            if line not in mounted:
                subprocess.run(["umount", "-l", line.split()[4]], capture_output=True, check=False)
        shutil.rmtree(place, ignore_errors=True)
