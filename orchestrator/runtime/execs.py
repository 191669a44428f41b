"""One more command in a running container, with streams to talk to or in the background.

conmon holds it as it holds a container. Its exit file has the container's name, so each command has
a bundle of its own: `id` is the container's, everything else is the command's.
Probes need none of that: they are `Runtime.exec`.  Source: conmon(8), `--exec`.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from anyio import to_thread

from orchestrator.runtime.attach import Attachment, attach
from orchestrator.runtime.driver import Runtime
from orchestrator.runtime.monitor import Pipe, answering, created_pid, prepare, spawn_monitor
from orchestrator.runtime.paths import Bundle


@dataclass(frozen=True, slots=True)
class Session:
    """A command that runs: its pid on this machine, and its streams.

    Its exit code is found as a container's: `wait_exit`, then `read_exit_code` in the bundle.
    """

    pid: int
    streams: Attachment


@asynccontextmanager
async def attached_exec(
    runtime: Runtime, bundle: Bundle, process: Mapping[str, Any]
) -> AsyncIterator[Session]:
    """The command of the OCI `process`, started with its first byte of output not missed.

    Leaving the block leaves the command running, without anybody at its streams.

    Raises: Failed: it cannot be executed (command-not-found, …) or the container does not run;
    Unavailable: no answer.
    """
    command = await _prepared(runtime, bundle, process, attached=True)
    async with AsyncExitStack() as stack:
        async with _answering(runtime, bundle):
            sync = stack.enter_context(Pipe())
            attached = stack.enter_context(Pipe())
            start = stack.enter_context(Pipe())
            # conmon reads once before it goes to the background, and once before it runs the
            # command.
            os.write(start.write_end, b"\0")
            pipes = {
                "_OCI_SYNCPIPE": sync.write_end,
                "_OCI_ATTACHPIPE": attached.write_end,
                "_OCI_STARTPIPE": start.read_end,
            }
            os.set_blocking(start.read_end, True)
            said = await spawn_monitor(bundle, command, pipes)
            sync.close_write()
            attached.close_write()
            await attached.read_report()
            streams = await stack.enter_async_context(attach(bundle.attach_dir))
            os.write(start.write_end, b"\0")
            pid = await created_pid(bundle, sync, said, "exec")
        yield Session(pid, streams)


async def detached_exec(runtime: Runtime, bundle: Bundle, process: Mapping[str, Any]) -> int:
    """The pid of the command, started in the background.

    Raises: Failed, Unavailable: as `attached_exec`.
    """
    command = await _prepared(runtime, bundle, process, attached=False)
    async with _answering(runtime, bundle):
        with Pipe() as sync:
            said = await spawn_monitor(bundle, command, {"_OCI_SYNCPIPE": sync.write_end})
            sync.close_write()
            return await created_pid(bundle, sync, said, "exec")


def _answering(runtime: Runtime, bundle: Bundle) -> AbstractAsyncContextManager[None]:
    return answering(bundle, runtime.program(bundle.id).path, "exec", runtime.start_timeout_s)


async def _prepared(
    runtime: Runtime, bundle: Bundle, process: Mapping[str, Any], *, attached: bool
) -> list[str]:
    spec = bundle.path / "process.json"

    def write() -> None:
        bundle.path.mkdir(parents=True, exist_ok=True)
        prepare(bundle)
        spec.write_text(json.dumps(dict(process)))

    await to_thread.run_sync(write)
    program = runtime.program(bundle.id)
    command = [
        runtime.conmon,
        *("--api-version", "1"),
        *("--cid", bundle.id, "--cuuid", bundle.id),
        *("--runtime", program.path),
        *("--bundle", str(bundle.path)),
        *("--persist-dir", str(bundle.persist_dir)),
        *("--exit-dir", str(bundle.exit_dir)),
        *("--container-pidfile", str(bundle.pid_file)),
        *("--conmon-pidfile", str(bundle.conmon_pid_file)),
        *("--log-path", "off", "--log-level", "error"),
        *("--exec", "--exec-process-spec", str(spec)),
        "--full-attach",
        "--no-sync-log",
    ]
    for argument in program.arguments:
        command += ["--runtime-arg", argument]
    if attached:
        command.append("--exec-attach")
    if bundle.terminal:
        command.append("--terminal")
    if bundle.stdin:
        command.append("--stdin")
        if not bundle.stdin_once:
            command.append("--leave-stdin-open")
    return command
