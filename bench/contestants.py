"""Who is measured: pystack, Docker and Podman with their builders, and the floor below them all.

Each has a place of its own (namespaces, see `places`) and its data on the same disk. Whoever needs
a daemon has it started and warm before the first measurement.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

from bench.places import COMMAND_S, MARK, Place

CHECKOUT = Path(__file__).resolve().parents[1]
START_S = 30.0


class Contestant:
    """One engine with its command line."""

    name = ""
    peer = ""
    """What `--peer` calls it; "" is always there."""
    records = ""
    """What of the engine's own records reaches the disk before an answer."""
    insecure: Sequence[str] = ()
    """What pull and push must be told for a registry without TLS on this machine."""

    def __init__(self, directory: Path, root: Path | None, runtime: str) -> None:
        self.directory = directory
        self.cgroup = f"{directory.parent.name}/{self.name}"
        """Below which its containers have theirs, where it can be told; no other session's."""
        self.runtime = runtime
        self.place = Place(self.name, directory, root if self.peer else None)
        self.env = {
            "PATH": _PEERS_PATH if self.peer else os.environ.get("PATH", os.defpath),
            "HOME": str(directory / "home"),
            "TMPDIR": str(directory / "tmp"),
            "LC_ALL": "C.UTF-8",
            MARK: self.place.mark,
        }
        self.daemon: subprocess.Popen[bytes] | None = None

    # -- its life --------------------------------------------------------------------------------

    def open(self) -> None:
        """Makes its place; `close` ends it."""
        for name in ("home", "tmp"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        self.place.open()

    def available(self) -> str:
        """ "" when it can run here, else why not."""
        return ""

    def start(self) -> None:
        """Starts its daemon, if it has one."""

    def stop(self) -> None:
        if self.daemon and self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGTERM)
            try:
                self.daemon.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()

    def close(self) -> None:
        self.place.close()

    # -- its command line ------------------------------------------------------------------------

    def command(self) -> list[str]:
        """How its command line begins."""
        raise NotImplementedError

    def compose(self, file: Path) -> list[str]:
        """The same for a stack file."""
        return [*self.command(), "-f", str(file)]

    def version(self) -> str:
        return self.output(*self.command(), "--version").splitlines()[0]

    def runtime_version(self) -> str:
        """Which runtime its place has."""
        return self.output(self.runtime, "--version").splitlines()[0]

    def load(self, root: Path, name: str) -> None:
        """Makes the tar of a file tree its image `name`."""
        self.output(*self.command(), "import", str(root), name)

    def build(self, context: Path, tag: str, *, cache: bool = True) -> list[str]:
        """The command that builds the context's Dockerfile."""
        more = [] if cache else ["--no-cache"]
        return [*self.command(), "build", *more, "-t", tag, str(context)]

    # -- running it ------------------------------------------------------------------------------

    def output(self, *argv: str) -> str:
        """What a command that must succeed printed. Raises: RuntimeError: it did not."""
        done = self.place.run(argv, self.env)
        if done.returncode:
            raise RuntimeError(f"{' '.join(argv)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def time(self, argv: Sequence[str]) -> float:
        """The seconds that a command took, from its start to its end."""
        return self.place.inside(self._timed, argv)

    def _timed(self, argv: Sequence[str]) -> float:
        begun = time.perf_counter()
        done = subprocess.run(
            argv, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, check=False,
            timeout=COMMAND_S,
        )  # fmt: skip
        seconds = time.perf_counter() - begun
        if done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace")
            raise RuntimeError(f"{' '.join(argv)}: {done.returncode}\n{said}")
        return seconds

    def succeeds(self, *argv: str) -> bool:
        return self.place.run(argv, self.env).returncode == 0

    def has(self, program: str) -> bool:
        """Whether its place has such a program."""
        return self.place.inside(shutil.which, program, os.X_OK, self.env["PATH"]) is not None

    def serve(self, argv: Sequence[str], probe: Sequence[str]) -> None:
        """Starts a daemon and returns when the probe, a command, succeeds."""
        self.daemon = self.place.inside(self._spawned, argv)
        deadline = time.monotonic() + START_S
        while (asked := self.place.run(probe, self.env)).returncode:
            if self.daemon.poll() is not None or time.monotonic() > deadline:
                text = (self.directory / "daemon.log").read_text(errors="replace")
                raise RuntimeError(
                    f"{' '.join(argv)}: did not start:\n{text[-3000:]}{asked.stdout}{asked.stderr}"
                )
            time.sleep(0.05)

    def _spawned(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self.directory / "daemon.log").open("wb") as log:
            # In a process group of its own: an interrupt from the terminal is the harness's.
            return subprocess.Popen(
                argv, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                start_new_session=True,
            )  # fmt: skip


class Pystack(Contestant):
    name = "pystack"
    records = "SQLite, WAL, synchronous=NORMAL: no fsync per change"

    def __init__(self, directory: Path, root: Path | None, runtime: str) -> None:
        super().__init__(directory, root, runtime)
        self.env |= {
            "PYSTACK_DATA_DIR": str(directory / "data"),
            "PYSTACK_RUN_DIR": str(directory / "run"),
            "PYSTACK_SOCKET": str(directory / "run/pystack.sock"),
            "PYSTACK_SETTINGS": str(directory / "settings.toml"),
            "PYSTACK_RUNTIME": runtime,
            "PYTHONPATH": str(CHECKOUT),
        }

    def command(self) -> list[str]:
        script = self.directory / "pystack"
        if not script.exists():
            # As pip writes it; of this checkout, whatever is installed.
            project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
            module, _, function = project["scripts"]["pystack"].partition(":")
            script.write_text(
                f"#!{sys.executable}\nimport sys\n"
                f"from {module} import {function}\nsys.exit({function}())\n"
            )
            script.chmod(0o755)
        return [str(script)]

    def version(self) -> str:
        python = sys.version.split()[0]
        version = self.output(*self.command(), "version").partition("Version:")[2].split()[0]
        return f"pystack {version}, Python {python}"

    def start(self) -> None:
        (self.directory / "settings.toml").write_text(f'cgroup_parent = "{self.cgroup}"\n')
        status = [*self.command(), "engine", "status"]
        self.serve([sys.executable, "-m", "orchestrator.daemon"], status)


class Docker(Contestant):
    name = "docker"
    peer = "docker"
    records = "files and bolt databases, fsync per change"

    def __init__(self, directory: Path, root: Path | None, runtime: str) -> None:
        super().__init__(directory, root, runtime)
        self.socket = f"unix://{directory}/docker.sock"
        self.env |= {
            "DOCKER_HOST": self.socket,
            "DOCKER_CONFIG": str(directory / "config"),
            "DOCKER_BUILDKIT": "0",
        }

    def available(self) -> str:
        if not self.has("dockerd") or not self.has("docker"):
            return "not installed (apt-get install docker.io)"
        if not self.has(self.runtime):
            return f"has no {self.runtime} (apt-get install {self.runtime})"
        return ""

    def command(self) -> list[str]:
        return ["docker"]

    def compose(self, file: Path) -> list[str]:
        if compose := self._compose():
            return [*compose, "-f", str(file)]
        raise RuntimeError("has no Compose (apt-get install docker-compose)")

    def version(self) -> str:
        server = self.output(*self.command(), "version", "-f", "{{.Server.Version}}").strip()
        version = f"{self.output(*self.command(), '--version').strip()}; server {server}"
        if compose := self._compose():
            version += f"; {self.output(*compose, 'version').splitlines()[0]}"
        return version

    def start(self) -> None:
        argv = ["dockerd", "--host", self.socket, "--data-root", str(self.directory / "data")]
        argv += ["--exec-root", str(self.directory / "run")]
        argv += ["--pidfile", str(self.directory / "dockerd.pid")]
        argv += ["--cgroup-parent", f"/{self.cgroup}"]
        if self.runtime != "runc":
            path = self.place.inside(shutil.which, self.runtime, os.X_OK, self.env["PATH"])
            argv += ["--add-runtime", f"{self.runtime}={path}", "--default-runtime", self.runtime]
        self.serve(argv, ["docker", "info"])

    def _compose(self) -> list[str]:
        if self.succeeds("docker", "compose", "version"):
            return ["docker", "compose"]
        return ["docker-compose"] if self.has("docker-compose") else []


class BuildKit(Docker):
    """Docker's newer builder, in a daemon of its own; the other is the classic one."""

    name = "buildkit"

    def __init__(self, directory: Path, root: Path | None, runtime: str) -> None:
        super().__init__(directory, root, runtime)
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
            if not self.has(path):
                continue
            major = self.output(path, "--version").partition("version ")[2].split(".")[0]
            old = major.isdecimal() and int(major) < 23
            if old or self.succeeds(path, "buildx", "version"):
                return path
        return ""


class Daemonless(Contestant):
    """Of the family that reads containers.conf."""

    peer = "podman"
    insecure = ("--tls-verify=false",)

    def __init__(self, directory: Path, root: Path | None, runtime: str) -> None:
        super().__init__(directory, root, runtime)
        self.env |= {
            "CONTAINERS_CONF": str(directory / "containers.conf"),
            "BUILDAH_RUNTIME": runtime,
            "PODMAN_IGNORE_CGROUPSV1_WARNING": "1",
        }

    def available(self) -> str:
        if not self.has(self.name):
            return f"not installed (apt-get install {self.name})"
        return "" if self.has(self.runtime) else f"has no {self.runtime}"

    def start(self) -> None:
        (self.directory / "containers.conf").write_text(
            "[containers]\n"
            # Its own are above what some hosts let root have.
            'default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n'
            f'[engine]\nruntime = "{self.runtime}"\ncgroup_manager = "cgroupfs"\n'
            'events_logger = "file"\n'
            f'[network]\nnetwork_config_dir = "{self.directory}/networks"\n'
        )


class Podman(Daemonless):
    name = "podman"
    records = "bolt or SQLite database, fsync per change"

    def command(self) -> list[str]:
        paths = {"--root": "data", "--runroot": "run", "--tmpdir": "libpod"}
        return ["podman", *(f"{k}={self.directory / v}" for k, v in paths.items())]

    def compose(self, file: Path) -> list[str]:
        if not self.has("podman-compose"):
            raise RuntimeError("has no Compose (apt-get install podman-compose)")
        wrapper = self.directory / "podman"
        if not wrapper.exists():
            wrapper.write_text(f'#!/bin/sh\nexec {" ".join(self.command())} "$@"\n')
            wrapper.chmod(0o755)
        return ["podman-compose", "--podman-path", str(wrapper), "-f", str(file)]


class Buildah(Daemonless):
    name = "buildah"
    records = "no daemon; files, fsync per change"

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


class Floor(Contestant):
    """No engine: the OCI runtime on prepared bundles, and netlink."""

    name = "floor"
    records = "nothing is recorded"

    def available(self) -> str:
        return "" if self.has(self.runtime) else f"has no {self.runtime}"

    def command(self) -> list[str]:
        return [self.runtime, "--root", str(self.directory / "state")]

    def version(self) -> str:
        return "no engine"

    def load(self, root: Path, name: str) -> None:
        """Unpacks the tree, which its bundles share."""
        rootfs = self.directory / "rootfs"
        rootfs.mkdir()
        subprocess.run(["tar", "-xf", str(root), "-C", str(rootfs)], check=True)


CONTESTANTS: tuple[type[Contestant], ...] = (Pystack, Docker, BuildKit, Podman, Buildah, Floor)
# The distribution's before any other.
_PEERS_PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
