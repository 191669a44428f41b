"""Reaching the engine, and starting it when nothing answers.

Under systemd with the socket unit installed, systemd starts it; else the engine becomes a process
of its own here: a new session, no terminal, its first words in a start-up log. The engine is
crash-only, so starting one is always safe: it takes over what a killed one left.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.errors import Denied, PystackError, Unavailable

if TYPE_CHECKING:
    import subprocess

    from orchestrator.places import Places

START_DEADLINE_S = 15.0
_POLL_S = 0.01
_SETTLE_S = 0.5
_LOG_LINES = 12
_SYSTEMD_RUNNING = "/run/systemd/system"
_UNIT_DIRS = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
_UNIT_SOCKET = "/run/pystack/pystack.sock"


class Starter:
    """The way to one engine: `connect` always gives a connection or says why there is none."""

    def __init__(
        self,
        places: Places,
        *,
        command: Sequence[str] = (sys.executable, "-m", "orchestrator.daemon"),
        deadline_s: float = START_DEADLINE_S,
        needs_root: bool = True,
    ) -> None:
        self._places = places
        self._command = command
        self._deadline_s = deadline_s
        self._needs_root = needs_root

    @property
    def start_log(self) -> str:
        """Where a starting engine's stdout and stderr go until it has its own log."""
        return os.path.join(self._places.run_dir, "engine-start.log")

    def running(self) -> socket.socket | None:
        """A connection to the engine, or None when none runs.

        Raises: Denied(socket-denied): it runs, and this user may not talk to it.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(self._places.socket)
        except PermissionError as error:
            connection.close()
            raise Denied(
                f"permission denied at the engine's socket {self._places.socket}",
                code="socket-denied",
                about=self._places.socket,
                hint="run the command with sudo",
            ) from error
        except OSError:
            connection.close()
            return None
        return connection

    def connect(self) -> socket.socket:
        """A connection to the engine, which is started if nothing answers.

        Raises: Denied(needs-root): only root may start it. Unavailable(engine-did-not-start):
        it died, or was not there after the deadline; the hint has its last words.
        """
        return self.running() or self._start()

    def _start(self) -> socket.socket:
        if self._needs_root and os.geteuid() != 0:
            raise Denied(
                "no engine is running, and the engine needs root",
                code="needs-root",
                hint="use sudo: sudo pystack …",
            )
        if self._has_units():
            _systemctl_start()
            return self._await(None)
        with self._lock():
            # Another command may have started it while this one waited for the lock.
            return self.running() or self._await(self._spawn())

    def _has_units(self) -> bool:
        return (
            self._places.socket == _UNIT_SOCKET
            and os.path.exists(_SYSTEMD_RUNNING)
            and any(os.path.exists(f"{directory}/pystack.socket") for directory in _UNIT_DIRS)
        )

    def _lock(self) -> _Lock:
        os.makedirs(self._places.run_dir, exist_ok=True)
        return _Lock(os.path.join(self._places.run_dir, "start.lock"))

    def _spawn(self) -> subprocess.Popen[bytes]:
        import subprocess  # noqa: PLC0415  (9 ms that a running engine spares)

        with open(self.start_log, "wb") as log:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_environment(),
                start_new_session=True,
            )

    def _await(self, process: subprocess.Popen[bytes] | None) -> socket.socket:
        deadline = time.monotonic() + self._deadline_s
        while time.monotonic() < deadline:
            if connection := self.running():
                if process is not None:
                    # It is meant to outlive this process: Popen shall not complain of that.
                    process.returncode = 0
                return connection
            if process is not None and process.poll() is not None:
                # An engine that found another one starting ends at once: that one may answer.
                deadline = min(deadline, time.monotonic() + _SETTLE_S)
            time.sleep(_POLL_S)
        raise self._did_not_start(process)

    def _did_not_start(self, process: subprocess.Popen[bytes] | None) -> PystackError:
        words = last_lines(self.start_log, _LOG_LINES) if process else []
        if process is None:
            problem, hint = "systemd did not start the engine", "see: journalctl -u pystack.service"
        elif process.returncode is None:
            problem = f"the engine did not answer within {self._deadline_s:g} s"
            hint = f"it may still be starting; see {self.start_log} and {self._places.log_file}"
            process.returncode = 0
        else:
            problem = f"the engine ended at its start (exit code {process.returncode})"
            hint = f"see {self.start_log} and {self._places.log_file}"
        return Unavailable(
            "\n".join([problem, *(f"  | {word}" for word in words)]),
            code="engine-did-not-start",
            about=self._places.socket,
            hint=hint,
        )


class _Lock:
    """Held by the one command that starts the engine; the kernel frees it when that dies."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> None:
        import fcntl  # noqa: PLC0415

        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def last_lines(path: str, count: int) -> list[str]:
    """The last `count` lines of a log, fewer if it is short, none if it cannot be read."""
    try:
        with open(path, "rb") as log:
            log.seek(max(0, os.path.getsize(path) - 256 * count - 4096))
            return log.read().decode("utf-8", "replace").splitlines()[-count:]
    except OSError:
        return []


def _environment() -> dict[str, str]:
    """This process' environment, with the package findable from the engine's directory, `/`."""
    source = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
    paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _systemctl_start() -> None:
    import subprocess  # noqa: PLC0415

    subprocess.run(
        ["systemctl", "start", "pystack.socket"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
