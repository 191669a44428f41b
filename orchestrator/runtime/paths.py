"""Where the runtime finds everything of one container."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The run-time directory of a container, and how its standard streams are held.

    `path` holds what lives as long as the container runs. It may be any length: sockets in it are
    reached through a descriptor of the directory. `stdin_once` closes the container's stdin when
    the first attached client goes. `runtime` names the OCI runtime, "" the usual one.
    """

    id: str
    path: Path
    rootfs: Path
    log_path: Path
    exit_dir: Path
    terminal: bool = False
    stdin: bool = False
    stdin_once: bool = False
    log_driver: str = ""
    runtime: str = ""

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def pid_file(self) -> Path:
        return self.path / "pid"

    @property
    def conmon_pid_file(self) -> Path:
        return self.path / "conmon.pid"

    @property
    def persist_dir(self) -> Path:
        return self.path / "persist"

    @property
    def attach_dir(self) -> Path:
        return self.path

    @property
    def control(self) -> Path:
        """The fifo that takes conmon's control lines."""
        return self.path / "ctl"
