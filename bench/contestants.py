"""Who is measured: pystack, and Docker and Podman where they are installed.

Each runs with data of its own on the same disk, in this process's namespaces. Whoever needs a
daemon has it started and warm before the first measurement.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START_S = 60.0


class Contestant:
    """One engine with its command line. `synced` says what reaches the disk before an answer."""

    name = ""
    synced = ""
    insecure: Sequence[str] = ()
    """What pull and push must be told for a registry without TLS on this machine."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.env = dict(os.environ)
        self.daemon: subprocess.Popen[bytes] | None = None

    def available(self) -> str:
        """ "" when it can run here, else why not."""
        return ""

    def command(self) -> list[str]:
        """How its command line begins."""
        raise NotImplementedError

    def compose(self, file: Path) -> list[str]:
        """The same for a stack file."""
        return [*self.command(), "-f", str(file)]

    def version(self) -> str:
        return self.output(*self.command(), "--version").splitlines()[0]

    def start(self) -> None:
        """Starts its daemon, if it has one."""

    def load(self, root: Path, name: str) -> None:
        """Makes the tar of a file tree its image `name`."""
        self.output(*self.command(), "import", str(root), name)

    def build(self, context: Path, tag: str, *, cache: bool = True) -> list[str]:
        """The command that builds the context's Dockerfile."""
        more = [] if cache else ["--no-cache"]
        return [*self.command(), "build", *more, "-t", tag, str(context)]

    def stop(self) -> None:
        if self.daemon and self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGTERM)
            self.daemon.wait(timeout=60)

    def output(self, *argv: str) -> str:
        """What a command that must succeed printed."""
        done = subprocess.run(argv, env=self.env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(argv)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def time(self, argv: Sequence[str]) -> float:
        """The seconds that a command took, from its start to its end."""
        begun = time.perf_counter()
        self.output(*argv)
        return time.perf_counter() - begun

    def serve(self, argv: Sequence[str], ready: Callable[[], bool]) -> None:
        """Starts a daemon and returns when it is ready."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "daemon.log").open("wb") as log:
            self.daemon = subprocess.Popen(
                argv, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/"
            )
        deadline = time.monotonic() + START_S
        while not ready():
            if self.daemon.poll() is not None or time.monotonic() > deadline:
                text = (self.directory / "daemon.log").read_text(errors="replace")
                raise RuntimeError(f"{argv[0]} did not start:\n{text[-3000:]}")
            time.sleep(0.05)

    def succeeds(self, *argv: str) -> bool:
        done = subprocess.run(argv, env=self.env, capture_output=True, check=False)
        return done.returncode == 0


class Pystack(Contestant):
    name = "pystack"
    synced = "records: SQLite, WAL, synchronous=NORMAL (no fsync per change)"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.env |= {
            "PYSTACK_DATA_DIR": str(directory / "data"),
            "PYSTACK_RUN_DIR": str(directory / "run"),
            "PYSTACK_SOCKET": str(directory / "run/pystack.sock"),
            "PYSTACK_SETTINGS": str(directory / "settings.toml"),
            "PYTHONPATH": str(ROOT),
        }

    def command(self) -> list[str]:
        script = Path(sys.executable).with_name("pystack")
        if script.exists():
            return [str(script)]
        return [sys.executable, "-m", "orchestrator.cli"]

    def version(self) -> str:
        return " ".join(self.output(*self.command(), "version").split())

    def start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "settings.toml").write_text('cgroup_parent = "pystack-bench"\n')
        status = [*self.command(), "engine", "status"]
        self.serve([sys.executable, "-m", "orchestrator.daemon"], lambda: self.succeeds(*status))


class Docker(Contestant):
    name = "docker"
    synced = "records: files and bolt databases, fsync per change"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.socket = f"unix://{directory}/docker.sock"
        self.env |= {"DOCKER_HOST": self.socket, "DOCKER_BUILDKIT": "0"}

    def available(self) -> str:
        if not shutil.which("dockerd") or not shutil.which("docker"):
            return "not installed (apt-get install docker.io)"
        return "" if self._compose() else "has no Compose (apt-get install docker-compose)"

    def command(self) -> list[str]:
        return ["docker"]

    def compose(self, file: Path) -> list[str]:
        return [*self._compose(), "-f", str(file)]

    def version(self) -> str:
        compose = self.output(*self._compose(), "version").splitlines()[0]
        return f"{self.output(*self.command(), '--version').strip()}; {compose}"

    def start(self) -> None:
        argv = ["dockerd", "--host", self.socket, "--data-root", str(self.directory / "data")]
        argv += ["--exec-root", str(self.directory / "run")]
        argv += ["--pidfile", str(self.directory / "dockerd.pid")]
        self.serve(argv, lambda: self.succeeds("docker", "info"))

    def _compose(self) -> list[str]:
        if self.succeeds("docker", "compose", "version"):
            return ["docker", "compose"]
        return ["docker-compose"] if shutil.which("docker-compose") else []


class Podman(Contestant):
    name = "podman"
    insecure = ("--tls-verify=false",)
    synced = "records: bolt or SQLite database, fsync per change"

    def available(self) -> str:
        if not shutil.which("podman"):
            return "not installed (apt-get install podman)"
        return ""

    def command(self) -> list[str]:
        paths = {"--root": "data", "--runroot": "run", "--tmpdir": "tmp"}
        return ["podman", *(f"{k}={self.directory / v}" for k, v in paths.items())]

    def compose(self, file: Path) -> list[str]:
        if not shutil.which("podman-compose"):
            raise RuntimeError("has no Compose (apt-get install podman-compose)")
        wrapper = self.directory / "podman"
        if not wrapper.exists():
            wrapper.parent.mkdir(parents=True, exist_ok=True)
            wrapper.write_text(f'#!/bin/sh\nexec {" ".join(self.command())} "$@"\n')
            wrapper.chmod(0o755)
        return ["podman-compose", "--podman-path", str(wrapper), "-f", str(file)]


class BuildKit(Docker):
    """Docker's newer builder, in a daemon of its own; the other is the classic one."""

    name = "buildkit"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.env["DOCKER_BUILDKIT"] = "1"

    def available(self) -> str:
        if problem := super().available():
            return problem
        return "" if self._client() else "has no buildx (apt-get install docker-buildx)"

    def command(self) -> list[str]:
        return [self._client() or "docker"]

    def _client(self) -> str:
        """A client that can: those before version 23 do it alone, later ones call buildx."""
        for path in ("docker", "/usr/bin/docker"):
            if not shutil.which(path):
                continue
            major = self.output(path, "--version").partition("version ")[2].split(".")[0]
            old = major.isdecimal() and int(major) < 23
            if old or self.succeeds(path, "buildx", "version"):
                return path
        return ""


class Buildah(Contestant):
    name = "buildah"
    synced = "no daemon; records: files, fsync per change"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        if shutil.which("runc"):
            # crun refuses cgroups v1 and v2 side by side.
            self.env["BUILDAH_RUNTIME"] = "runc"

    def available(self) -> str:
        return "" if shutil.which("buildah") else "not installed (apt-get install buildah)"

    def command(self) -> list[str]:
        paths = {"--root": "data", "--runroot": "run"}
        return ["buildah", *(f"{k}={self.directory / v}" for k, v in paths.items())]

    def load(self, root: Path, name: str) -> None:
        place = self.directory / "load"
        place.mkdir(parents=True, exist_ok=True)
        (place / "Dockerfile").write_text("FROM scratch\nADD root.tar /\n")
        shutil.copy(root, place / "root.tar")
        self.output(*self.command(), "bud", "-q", "-t", name, str(place))

    def build(self, context: Path, tag: str, *, cache: bool = True) -> list[str]:
        # Without --layers it keeps no steps, and has nothing to find again.
        more = ["--layers"] if cache else ["--layers", "--no-cache"]
        return [*self.command(), "bud", "-q", *more, "-t", tag, str(context)]


CONTESTANTS: tuple[type[Contestant], ...] = (Pystack, Docker, BuildKit, Podman, Buildah)
