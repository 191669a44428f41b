"""One more command in a running container: what it is asked to be, and how it is doing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecSpec:
    """The command and how it is run; `user` and `working_dir` "" are the container's own.

    `environment` are `NAME=value`, or `NAME` for a variable that it is not to have. `console_size`
    are rows and columns, (0, 0) where nobody said.
    """

    command: tuple[str, ...]
    environment: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    tty: bool = False
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    privileged: bool = False
    detach_keys: str = ""
    console_size: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exec:
    """A command in a container. Times are Unix seconds, 0 where the thing has not happened.

    `exit_code` is None until it has ended; what could not be started has ended too, and `error`
    says why. `adopted` says that it outlived the engine that started it, and what streamed then.
    """

    id: str
    container_id: str
    spec: ExecSpec
    created_at: float
    started_at: float = 0.0
    ended_at: float = 0.0
    pid: int = 0
    pid_started: int = 0
    exit_code: int | None = None
    error: str = ""
    adopted: bool = False

    @property
    def running(self) -> bool:
        return bool(self.started_at) and self.exit_code is None
