"""Docker's clients: Debian 13's packages, of which only one file each is needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import urllib.request
from pathlib import Path

VERSION = "2.26"
_MIRROR = "http://deb.debian.org/debian"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_PLUGIN = "usr/libexec/docker/cli-plugins/docker-compose"
_CLIENT = "usr/bin/docker"


class UnreachableError(Exception):
    """Debian's mirror does not answer."""


def compose_program() -> Path:
    """Docker Compose, fetched from Debian's mirror once and shared by all checkouts of this user.

    Raises: UnreachableError. CalledProcessError: the mirror answers and apt fails all the same.
    """
    return _program(f"docker-compose-{VERSION}", "docker-compose", _PLUGIN)


def docker_program() -> Path:
    """Docker's command line, alike: its package in Debian 12 would bring the daemon too."""
    return _program("docker-cli-26.1", "docker-cli", _CLIENT)


def _program(name: str, package: str, path: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "pystack-tests"
    program = cache / name
    if program.exists():
        return program
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as directory:
        try:
            found = _fetch(Path(directory), package, path)
        except subprocess.SubprocessError as error:
            if not _reachable():
                raise UnreachableError(f"{_MIRROR} does not answer: {error}") from error
            raise
        found.rename(program)
    return program


def _fetch(directory: Path, package: str, path: str) -> Path:
    """The program unpacked from its package, without a trace in the machine's own apt."""
    (directory / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {_MIRROR} trixie main\n")
    for name in ("lists/partial", "cache/archives/partial", "root"):
        (directory / name).mkdir(parents=True)
    options = [
        f"Dir::Etc::SourceList={directory}/sources.list",
        "Dir::Etc::SourceParts=-",
        f"Dir::State::Lists={directory}/lists",
        f"Dir::Cache={directory}/cache",
        "APT::Sandbox::User=root",
        "Acquire::Languages=none",
        "Acquire::Retries=2",
        "Acquire::http::Timeout=20",
    ]
    apt = ["apt-get", "-qq", *(word for option in options for word in ("-o", option))]
    for words in (["update"], ["download", package]):
        subprocess.run([*apt, *words], cwd=directory, check=True, timeout=180, capture_output=True)
    (archive,) = directory.glob(f"{package}_*.deb")
    subprocess.run(["dpkg", "-x", archive, directory / "root"], check=True, timeout=60)
    shutil.rmtree(directory / "lists")
    return directory / "root" / path


def _reachable() -> bool:
    try:
        with urllib.request.urlopen(f"{_MIRROR}/dists/trixie/Release", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
