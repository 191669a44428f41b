"""An engine of a test's own, as a process: started, stopped, killed, asked over its socket."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START_S = 30.0
STOP_S = 30.0
COMMAND_S = 60.0


@dataclass(frozen=True, slots=True)
class Result:
    """What a command line gave back."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


@dataclass(slots=True)
class EngineUnderTest:
    """The place of one engine, and the engine that serves there now, if one does."""

    directory: Path
    cgroup_parent: str

    @property
    def socket(self) -> Path:
        return self.directory / "run/pystack.sock"

    @property
    def log_file(self) -> Path:
        return self.directory / "engine.log"

    @property
    def env(self) -> dict[str, str]:
        """The environment in which commands and engines find this place."""
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("PYSTACK_", "COMPOSE_"))
        }
        return inherited | {
            "PYSTACK_DATA_DIR": str(self.directory / "data"),
            "PYSTACK_RUN_DIR": str(self.directory / "run"),
            "PYSTACK_SOCKET": str(self.socket),
            "PYSTACK_LOG_FILE": str(self.log_file),
            "PYSTACK_SETTINGS": str(self.directory / "settings.toml"),
            "PYTHONPATH": str(ROOT),
            "NO_COLOR": "1",
        }

    @property
    def pid(self) -> int:
        """The process that listens on the socket, 0 when none does (unix(7), SO_PEERCRED)."""
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(str(self.socket))
            except OSError:
                return 0
            credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int(struct.unpack("3i", credentials)[0])

    def start(
        self, env: Mapping[str, str] | None = None, module: str = "orchestrator.daemon"
    ) -> None:
        """Starts an engine (`module` runs it) and returns when it answers."""
        self.directory.joinpath("run").mkdir(parents=True, exist_ok=True)
        with (self.directory / "engine.out").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", module],
                cwd="/",
                env=self.env | dict(env or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while not self.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                process.wait()
                raise RuntimeError(f"the engine did not start:\n{self.output()}")
            time.sleep(0.02)
        # Its exit is waited for by pid, as with engines that a command started.
        process.returncode = 0

    def output(self) -> str:
        """What the engine printed and logged, for a failing test's report."""
        texts = []
        for path in (self.directory / "engine.out", self.log_file):
            with contextlib.suppress(OSError):
                texts.append(path.read_text(errors="replace")[-8000:])
        return "\n".join(texts)

    def answers(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.request("GET", "/_ping")[0] == 200
        return False

    def stop(self) -> None:
        """Asks the engine to end, and waits until it has; containers stay."""
        self._end(signal.SIGTERM)

    def kill9(self) -> None:
        """Kills the engine and nothing else."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        pid = self.pid
        if not pid:
            return
        handle = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(handle, number)
            deadline = time.monotonic() + STOP_S
            while not _gone(handle, pid):
                if time.monotonic() > deadline:
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    raise AssertionError(f"the engine ignores signal {number}:\n{self.output()}")
                time.sleep(0.01)
        finally:
            os.close(handle)

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One request to the API: its status, and the answer (JSON where it is one document)."""
        connection = _UnixConnection(str(self.socket))
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
            if answer.headers.get_content_type() == "application/json":
                # Streams of JSON lines have the same type in Docker's API.
                with contextlib.suppress(json.JSONDecodeError):
                    return answer.status, json.loads(text or "null")
            return answer.status, text
        finally:
            connection.close()

    def containers(self, **labels: str) -> list[dict[str, Any]]:
        """Every container of the engine with these labels ("_" for "."), stopped ones too."""
        _, listed = self.request("GET", "/containers/json?all=1")
        wanted = {key.replace("_", "."): value for key, value in labels.items()}
        return [c for c in listed if wanted.items() <= c["Labels"].items()]

    def inspect(self, container: str) -> dict[str, Any]:
        """Docker's description of one container."""
        status, found = self.request("GET", f"/containers/{container}/json")
        assert status == 200, found
        return dict(found)

    def cli(self, *args: str, **options: Any) -> Result:
        """Runs `pystack` with these arguments; see `run`. Fails the test when the command does."""
        result = self.run(*args, **options)
        assert result.exit_code == 0, (
            f"pystack {' '.join(args)}: exit code {result.exit_code}\n"
            f"{result.stdout}\n{result.stderr}\n--- engine:\n{self.output()}"
        )
        return result

    def run(
        self,
        *args: str,
        cwd: Path | None = None,
        timeout_s: float = COMMAND_S,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
    ) -> Result:
        """Runs `pystack` with these arguments; whatever it exits with."""
        done = subprocess.run(
            self.argv(*args),
            cwd=cwd,
            env=self.env | dict(env or {}),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Result(args, done.returncode, done.stdout, done.stderr)

    def argv(self, *args: str) -> list[str]:
        code = "from orchestrator.cli.main import enter; enter()"
        return [sys.executable, "-c", code, *args]


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _gone(handle: int, pid: int) -> bool:
    """Whether the process has ended; reaps it where it is a child of this one."""
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_PIDFD, handle, os.WEXITED | os.WNOHANG)
    try:
        signal.pidfd_send_signal(handle, 0)
    except ProcessLookupError:
        return True
    return _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z"
    return True
