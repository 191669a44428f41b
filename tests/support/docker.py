"""Debian's Docker as a neighbour on the same host: a daemon of the test's own, in this network
namespace."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.baseimages import busybox_root
from tests.support.netns import command
from tests.support.waiting import wait_until

START_S = 60.0
IMAGE = "localhost/neighbour:1"


@dataclass(frozen=True, slots=True)
class Docker:
    """A daemon that answers at a socket."""

    socket: str

    def run(self, *argv: str) -> str:
        """The output of a docker command that succeeds."""
        return command("docker", "--host", self.socket, *argv)

    def serve(self, word: str, port: int) -> str:
        """The id of a container that says the word to whoever connects to this host port."""
        script = f"while true; do echo {word} | nc -l -p 80; done"
        published = f"{port}:80"
        made = self.run("run", "-d", "-p", published, IMAGE, "sh", "-c", script)
        return made.strip()


def available() -> bool:
    return all(shutil.which(name) for name in ("dockerd", "docker", "iptables"))


@contextlib.contextmanager
def docker() -> Iterator[Docker]:
    """A daemon for the length of the block, with the busybox image; its rules and interfaces go
    with it."""
    before = set(command("nft", "list", "tables").splitlines())
    # Not on a tmpfs or an overlay, where Docker's own overlays cannot be.
    place = Path(tempfile.mkdtemp(prefix="pystack-neighbour-", dir="/var/lib"))
    # In mounts of its own: what it mounts is nobody else's to clean up.
    argv = ["unshare", "-m", "--propagation", "private", "dockerd"]
    argv += ["--host", f"unix://{place}/docker.sock", "--data-root", str(place / "data")]
    argv += ["--exec-root", str(place / "run"), "--pidfile", str(place / "pid")]
    log = (place / "log").open("wb")
    daemon = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True, cwd="/")
    one = Docker(f"unix://{place}/docker.sock")
    try:
        probe = ["docker", "--host", one.socket, "info"]
        wait_until(
            lambda: subprocess.run(probe, capture_output=True, check=False).returncode == 0,
            f"dockerd answers: {(place / 'log').read_text()[-2000:]}",
            within_s=START_S,
        )
        busybox_root(place / "root.tar")
        one.run("import", str(place / "root.tar"), IMAGE)
        yield one
        if names := one.run("ps", "-aq").split():
            one.run("rm", "-f", *names)
    finally:
        log.close()
        daemon.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            daemon.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(daemon.pid, signal.SIGKILL)
        daemon.wait()
        for table in set(command("nft", "list", "tables").splitlines()) - before:
            if "pystack" not in table:
                command("nft", "delete", *table.split())
        subprocess.run(["ip", "link", "delete", "docker0"], capture_output=True, check=False)
        shutil.rmtree(place, ignore_errors=True)
