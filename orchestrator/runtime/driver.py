"""The OCI runtime: containers are created through conmon, the rest by the runtime's own commands.

conmon holds a container's standard streams, log and exit code, so that nothing is lost while no
engine runs. Everything here may be repeated after a killed engine: creating what exists and
deleting what is gone are fine.  Source: crun(1), runc(8), conmon(8).
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import structlog
from anyio import to_thread

from orchestrator.aio.process import Completed, run_process
from orchestrator.errors import Failed, Unavailable
from orchestrator.runtime.bundle import exec_process, read_process
from orchestrator.runtime.endings import end_cgroup
from orchestrator.runtime.messages import STARTING, failure, unanswered
from orchestrator.runtime.monitor import start_monitor
from orchestrator.runtime.paths import Bundle
from orchestrator.runtime.process import pid_start_time, send_signal

_SIGKILL = 9


@dataclass(frozen=True, slots=True)
class Program:
    """A runtime's program and the directory of its records."""

    path: str
    root: Path

    @property
    def arguments(self) -> list[str]:
        """What every call of it begins with, after its name."""
        return ["--root", str(self.root)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The OCI runtime. `reason` says why this one, `refused` what was said of others, `others` are
    the programs that a container may name instead, by name. Each call of it is ended when it takes
    longer than `start_timeout_s` (to create, start and exec) or `timeout_s` (all else); one that
    `hangs` is not asked to take anything down."""

    name: str
    version: str
    reason: str
    path: str
    refused: tuple[str, ...]
    root: Path
    conmon: str = "/usr/bin/conmon"
    others: Mapping[str, str] = field(default_factory=dict)
    start_timeout_s: float = 120.0
    timeout_s: float = 10.0
    hangs: bool = False

    @property
    def names(self) -> frozenset[str]:
        """The runtimes that a container may ask for by name."""
        return frozenset((self.name, *self.others))

    def program(self, identifier: str) -> Program:
        """The runtime that has this container; the usual one where none has."""
        found = (self._program(name) for name in self.others)
        return next((p for p in found if (p.root / identifier).exists()), self._program())

    def _program(self, name: str = "") -> Program:
        # A root of its own each: no runtime can read another one's records.
        if name in self.others:
            return Program(self.others[name], self.root.with_name(f"runtime-{name}"))
        return Program(self.path, self.root)

    async def create(self, bundle: Bundle) -> int:
        """The pid of the container's first process, which waits for `start`.

        One that exists already and lives is left alone. Raises: Failed, with the runtime's message;
        code command-not-found or command-not-executable where the command is to blame.
        Unavailable: it did not answer.
        """
        if (self.program(bundle.id).root / bundle.id).exists():
            if pid := await self._created(bundle):
                return pid
            await self.delete(bundle.id, force=True)
        try:
            program = self._program(bundle.runtime)
            pid = await start_monitor(
                bundle,
                conmon=self.conmon,
                runtime=program.path,
                runtime_args=program.arguments,
                timeout_s=self.start_timeout_s,
            )
        except BaseException as error:
            # A runtime that fails half-way may leave its record and cgroups behind.
            with anyio.CancelScope(shield=True):
                await self.delete(bundle.id, force=True)
            if isinstance(error, Failed):
                raise _naming_the_command(error, bundle) from None
            raise
        return pid

    async def start(self, identifier: str) -> None:
        """Let the created container's command run.  Raises: Failed."""
        done = await self._command(identifier, "start", identifier)
        if done.exit_code:
            raise failure(done.stderr.decode(errors="replace"), identifier, "start")

    async def kill(self, identifier: str, signal: int, *, all: bool = False) -> None:  # noqa: A002
        """Signal the container's first process, or `all` of them; one that is gone is fine.

        Raises: Failed.
        """
        more = ["--all"] if all else []
        done = await self._command(identifier, "kill", *more, identifier, str(signal))
        if done.exit_code and not _is_gone(done):
            raise failure(done.stderr.decode(errors="replace"), identifier, "kill")

    async def delete(self, identifier: str, *, force: bool = False) -> None:
        """Forget the ended container; with `force` kill it first, if need be without the runtime,
        which may hang or be broken. Gone is fine.

        Raises: Failed: it still runs, or cannot be taken down; Unavailable: no answer.
        """
        program = self.program(identifier)
        if not (program.root / identifier).exists():
            return
        if (
            force
            and self.hangs
            and await to_thread.run_sync(self._ended_by_hand, program, identifier)
        ):
            return
        try:
            more = ["--force"] if force else []
            done = await self._command(identifier, "delete", *more, identifier)
            if done.exit_code and not _is_gone(done):
                raise failure(done.stderr.decode(errors="replace"), identifier, "delete")
        except (Failed, Unavailable) as error:
            if not force or not await to_thread.run_sync(self._ended_by_hand, program, identifier):
                raise
            structlog.get_logger().warning(
                "container taken down without its runtime", container=identifier, error=str(error)
            )

    def _ended_by_hand(self, program: Program, identifier: str) -> bool:
        """Whether nothing of the container runs, and the runtime's record of it is gone."""
        try:
            config = json.loads((self._place(identifier) / "config.json").read_bytes())
            path = str(config["linux"]["cgroupsPath"])
        except (OSError, ValueError, KeyError):
            return False
        if not end_cgroup(path):
            return False
        shutil.rmtree(program.root / identifier, ignore_errors=True)
        return True

    def _place(self, identifier: str) -> Path:
        return self.root.parent / "containers" / identifier

    async def pause(self, identifier: str) -> None:
        """Freeze every process of the container.  Raises: Failed."""
        done = await self._command(identifier, "pause", identifier)
        if done.exit_code:
            raise failure(done.stderr.decode(errors="replace"), identifier, "pause")

    async def resume(self, identifier: str) -> None:
        """Thaw a paused container.  Raises: Failed."""
        done = await self._command(identifier, "resume", identifier)
        if done.exit_code:
            raise failure(done.stderr.decode(errors="replace"), identifier, "resume")

    async def update(self, identifier: str, limits: Mapping[str, Any]) -> None:
        """Put limits in force, the OCI's `linux.resources`; those that it leaves out stay.

        Raises: Failed: the kernel refused.
        """
        file = self._place(identifier) / f"limits-{uuid.uuid4().hex}.json"
        try:
            file.write_text(json.dumps(limits))
            done = await self._command(identifier, "update", "--resources", str(file), identifier)
        finally:
            file.unlink(missing_ok=True)
        if done.exit_code:
            raise failure(done.stderr.decode(errors="replace"), identifier, "update")

    async def exec(
        self,
        identifier: str,
        process: Mapping[str, Any] | Sequence[str],
        *,
        timeout_s: float | None = None,
        most_bytes: int = 1 << 20,
    ) -> Completed:
        """The exit code and output of one more command in a running container, stdin empty.

        Of each stream the first `most_bytes` are kept.

        `process` is an OCI process, or just the arguments: then it runs with the identity and
        environment of the container's command. What takes longer is killed. A command that cannot
        be executed ends with the runtime's code for that, and its message as stderr.

        Raises: TimeoutError; Unavailable: the runtime did not even begin it in that time;
        Failed: the container does not run.
        """
        place = self._place(identifier)
        name = f"probe-{uuid.uuid4().hex}"
        pid_file, spec = place / f"{name}.pid", place / f"{name}.json"
        try:
            if not isinstance(process, Mapping):
                process = exec_process(read_process(place / "config.json"), process)
            spec.write_text(json.dumps(process))
        except FileNotFoundError:
            raise _not_running(identifier) from None
        kept = _Kept(most_bytes)
        command = ["exec", "--pid-file", str(pid_file), "--process", str(spec), identifier]
        program = self.program(identifier)
        try:
            done = await run_process(
                [program.path, *program.arguments, *command], timeout_s=timeout_s, output=kept.take
            )
            return Completed(done.exit_code, bytes(kept.streams[1]), bytes(kept.streams[2]))
        except BaseException as error:
            # The runtime is dead by now, the command in the container is not.
            begun = _kill_from(pid_file)
            if isinstance(error, TimeoutError) and not begun:
                raise unanswered(program.path, "exec", identifier, timeout_s or 0.0) from None
            raise
        finally:
            pid_file.unlink(missing_ok=True)
            spec.unlink(missing_ok=True)

    async def state(self, identifier: str) -> str:
        """The runtime's word for the container: created, running, paused, stopped; "" for none."""
        if not (self.program(identifier).root / identifier).exists():
            return ""
        done = await self._command(identifier, "state", identifier)
        if done.exit_code:
            return ""
        status: str = json.loads(done.stdout)["status"]
        return status

    async def _created(self, bundle: Bundle) -> int:
        if await self.state(bundle.id) not in ("created", "running", "paused"):
            return 0
        try:
            pid = int(bundle.pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return 0
        return pid if pid_start_time(pid) else 0

    async def _command(self, identifier: str, *words: str) -> Completed:
        program = self.program(identifier)
        timeout_s = self.start_timeout_s if words[0] in STARTING else self.timeout_s
        try:
            return await run_process(
                [program.path, *program.arguments, *words], timeout_s=timeout_s
            )
        except TimeoutError:
            raise unanswered(program.path, words[0], identifier, timeout_s) from None


class _Kept:
    """The beginning of what a command writes; the rest is dropped, however much it is."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self.streams = {1: bytearray(), 2: bytearray()}

    def take(self, stream: int, data: bytes) -> None:
        kept = self.streams[stream]
        kept += data[: max(0, self._most - len(kept))]


def _is_gone(done: Completed) -> bool:
    text = done.stderr.lower()
    return any(
        word in text
        for word in (
            b"does not exist",
            b"no such process",
            b"not running",
            b"process already finished",
            b"no such file or directory",
        )
    )


def _naming_the_command(error: Failed, bundle: Bundle) -> Failed:
    """The error with the command in its message, which crun may leave out, in the words of runc:
    Docker's client finds its exit code in them."""
    if not error.code.startswith("command-"):
        return error
    command = read_process(bundle.config)["args"][0]
    said = error.message.lower()
    if not command:
        # No file has this name; the runtimes speak of a permission.
        error.code = "command-not-found"
    if error.code == "command-not-found":
        problem = "executable file not found in $PATH"
        if "/" in command:
            problem = f"stat {command}: no such file or directory"
    elif "exec format" in said:
        problem = "exec format error"
    else:
        problem = "is a directory" if "is a directory" in said else "permission denied"
    error.message = f'exec: "{command}": {problem}'
    return error


def _not_running(identifier: str) -> Failed:
    return Failed(
        "the container is not running",
        code="container-not-running",
        about=identifier,
        hint="start it first",
    )


def _kill_from(pid_file: Path) -> bool:
    """Whether there was a command: its process, if it still lives, is killed."""
    try:
        pid = int(pid_file.read_text())
    except (FileNotFoundError, ValueError):
        return False
    if started := pid_start_time(pid):
        send_signal(pid, started, _SIGKILL)
    return True
