"""conmon: started once per container, detached from the engine, and outliving it.

Source: conmon(8); its reports come over the pipe named in `_OCI_SYNCPIPE` as one line of JSON.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio import to_thread

from orchestrator.aio.process import run_process
from orchestrator.errors import Failed
from orchestrator.runtime.endings import end_monitor
from orchestrator.runtime.messages import failure, unanswered
from orchestrator.runtime.paths import Bundle

_LONGEST_REPORT = 1 << 16


async def start_monitor(
    bundle: Bundle, *, conmon: str, runtime: str, runtime_args: Sequence[str], timeout_s: float
) -> int:
    """The pid of the created container's first process, once conmon and the runtime made it.

    Raises: Failed: with the runtime's message; Unavailable: no answer.
    """
    await to_thread.run_sync(prepare, bundle)
    command = monitor_command(bundle, conmon, runtime, runtime_args)
    async with answering(bundle, runtime, "create", timeout_s):
        with Pipe() as sync:
            said = await spawn_monitor(bundle, command, {"_OCI_SYNCPIPE": sync.write_end})
            sync.close_write()
            return await created_pid(bundle, sync, said, "create")


@asynccontextmanager
async def answering(
    bundle: Bundle, runtime: str, step: str, timeout_s: float
) -> AsyncGenerator[None]:
    """A block in which conmon and the runtime answer; where they do not, or nobody waits any more,
    both are ended, with what they began: a container would be made after all was taken down.

    Raises: Unavailable: no answer within `timeout_s`.
    """
    try:
        with anyio.fail_after(timeout_s):
            yield
    except Failed:
        raise  # they have ended by themselves
    except BaseException as error:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(end_monitor, bundle)
        if isinstance(error, TimeoutError):
            raise unanswered(runtime, step, bundle.id, timeout_s) from None
        raise


async def spawn_monitor(bundle: Bundle, command: Sequence[str], pipes: Mapping[str, int]) -> str:
    """What conmon said on its way to the background; `pipes` are its ends by variable."""
    done = await run_process(
        command,
        # Nothing else of the engine's environment: it would stay with conmon for as long as the
        # container lives.
        env={
            "PATH": os.environ.get("PATH", os.defpath),
            "TZ": "UTC",
            **{name: str(fd) for name, fd in pipes.items()},
        },
        cwd=bundle.path,
        pass_fds=tuple(pipes.values()),
    )
    return done.stderr.decode(errors="replace").strip()


async def created_pid(bundle: Bundle, sync: Pipe, said: str, step: str) -> int:
    """The pid in conmon's report of a create or exec.  Raises: Failed."""
    report = await sync.read_report()
    if report is None:
        raise _silent(bundle, said or "ended unexpectedly")
    if (pid := int(report.get("pid", report.get("data", -1)))) <= 0:
        raise failure(str(report.get("message", "")), bundle.id, step)
    return pid


def monitor_command(
    bundle: Bundle, conmon: str, runtime: str, runtime_args: Sequence[str]
) -> list[str]:
    """conmon's arguments for creating `bundle`. Pure."""
    command = [
        conmon,
        *("--cid", bundle.id, "--cuuid", bundle.id),
        *("--runtime", runtime),
        *("--bundle", str(bundle.path)),
        *("--persist-dir", str(bundle.persist_dir)),
        *("--exit-dir", str(bundle.exit_dir)),
        *("--container-pidfile", str(bundle.pid_file)),
        *("--conmon-pidfile", str(bundle.conmon_pid_file)),
        *("--log-path", _log(bundle)),
        *("--log-level", "error"),
        # Sockets in the bundle itself, reached through its descriptor: no limit on the length of
        # its path. And no fsync of the log at the end, which costs more than the whole container.
        "--full-attach",
        "--no-sync-log",
    ]
    for argument in runtime_args:
        command += ["--runtime-arg", argument]
    if bundle.terminal:
        command.append("--terminal")
    if bundle.stdin:
        command.append("--stdin")
        if not bundle.stdin_once:
            command.append("--leave-stdin-open")
    return command


def _log(bundle: Bundle) -> str:
    return "off" if bundle.log_driver == "none" else f"k8s-file:{bundle.log_path}"


def prepare(bundle: Bundle) -> None:
    """Make conmon's directories, and remove what an earlier run left in them. Blocking."""
    shutil.rmtree(bundle.persist_dir, ignore_errors=True)
    bundle.persist_dir.mkdir(parents=True)
    bundle.exit_dir.mkdir(parents=True, exist_ok=True)
    bundle.log_path.parent.mkdir(parents=True, exist_ok=True)
    for left in (
        bundle.exit_dir / bundle.id,
        bundle.pid_file,
        bundle.conmon_pid_file,
        bundle.path / "oom",
    ):
        left.unlink(missing_ok=True)


class Pipe:
    """A pipe to or from conmon, both ends closed with the block."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)

    def __enter__(self) -> Pipe:
        return self

    def __exit__(self, *_: object) -> None:
        self.close_write()
        os.close(self.read_end)

    def close_write(self) -> None:
        """Leave the writing end to conmon alone, so that its death ends the pipe."""
        if self.write_end >= 0:
            os.close(self.write_end)
            self.write_end = -1

    async def read_report(self) -> dict[str, Any] | None:
        """conmon's next line, None when it ended without one."""
        data = b""
        while b"\n" not in data and len(data) < _LONGEST_REPORT:
            await anyio.wait_readable(self.read_end)
            if not (piece := os.read(self.read_end, 4096)):
                return None
            data += piece
        line = data.split(b"\n", 1)[0].decode(errors="replace")
        # strict=False: conmon does not escape every control character of the runtime's message.
        report: dict[str, Any] = json.loads(line, strict=False)
        return report


def _silent(bundle: Bundle, what: str) -> Failed:
    return Failed(
        f"conmon: {what}",
        code="monitor-failed",
        about=bundle.id,
        hint="check that conmon works: `conmon --version`",
    )
