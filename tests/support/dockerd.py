"""Docker's daemon, where Debian's docker.io is installed: a second opinion on Dockerfiles."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_START_S = 60.0


def missing() -> str:
    """Why there is none here, "" when there is."""
    if not shutil.which("dockerd") or not _client():
        return "needs docker.io"
    return ""


def has_buildkit() -> bool:
    """Whether the client can ask for the newer builder: those from before version 23 can, later
    ones need a plug-in."""
    said = subprocess.run([_client(), "--version"], capture_output=True, text=True, check=True)
    major = said.stdout.partition("version ")[2].split(".")[0]
    plugin = subprocess.run([_client(), "buildx", "version"], capture_output=True, check=False)
    return plugin.returncode == 0 or (major.isdecimal() and int(major) < 23)


class Docker:
    """A daemon of the test's own, and its command line."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.env = {
            **os.environ,
            "DOCKER_HOST": f"unix://{directory}/docker.sock",
            "DOCKER_CONFIG": str(directory / "config"),
            "DOCKER_BUILDKIT": "0",
        }

    def __call__(self, *words: str, **env: str) -> bytes:
        """What a command that must succeed printed."""
        done = subprocess.run(
            [_client(), *words], env=self.env | env, capture_output=True, check=False, timeout=120
        )
        assert done.returncode == 0, f"docker {' '.join(words)}\n{done.stdout!r}\n{done.stderr!r}"
        return done.stdout

    def answers(self) -> bool:
        command = [_client(), "version"]
        done = subprocess.run(command, env=self.env, capture_output=True, check=False)
        return done.returncode == 0


@contextmanager
def running(directory: Path) -> Iterator[Docker]:
    """A daemon while the block lasts. It makes no network: builds have to do without one.

    Raises: RuntimeError: it does not start here.
    """
    docker = Docker(directory)
    directory.mkdir(parents=True)
    argv = ["dockerd", "--host", docker.env["DOCKER_HOST"], "--data-root", str(directory / "data")]
    argv += ["--exec-root", str(directory / "run"), "--pidfile", str(directory / "pid")]
    argv += ["--bridge=none", "--iptables=false", "--ip6tables=false"]
    with (directory / "log").open("wb") as log:
        daemon = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + _START_S
        while not docker.answers():
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((directory / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.1)
        yield docker
    finally:
        daemon.terminate()
        daemon.wait(timeout=60)


def _client() -> str:
    """A client that can build without a plug-in: Debian's, before any other."""
    return next((p for p in ("/usr/bin/docker", "docker") if shutil.which(p)), "")
