"""conmon: started once per container, detached from the engine, and outliving it.

Source: conmon(8); its reports come over the pipe named in `_OCI_SYNCPIPE` as one line of JSON.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from typing import Any

import anyio
from anyio import to_thread

from orchestrator.aio.process import run_process
from orchestrator.errors import Failed
from orchestrator.runtime.messages import failure
from orchestrator.runtime.paths import Bundle

_CREATE_TIMEOUT_S = 120.0
_LONGEST_REPORT = 1 << 16


async def start_monitor(
    bundle: Bundle, *, conmon: str, runtime: str, runtime_args: Sequence[str]
) -> int:
    """The pid of the created container's first process, once conmon and the runtime made it.

    Raises: Failed: with the runtime's message.
    """
    await to_thread.run_sync(_prepare, bundle)
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    try:
        try:
            done = await run_process(
                monitor_command(bundle, conmon, runtime, runtime_args),
                env=_environment(write_end),
                cwd=bundle.path,
                pass_fds=(write_end,),
                timeout_s=_CREATE_TIMEOUT_S,
            )
        finally:
            # Only conmon holds it now, so its death ends the pipe.
            os.close(write_end)
        with anyio.fail_after(_CREATE_TIMEOUT_S):
            report = await _report(read_end)
    except TimeoutError:
        raise _silent(bundle, "did not answer in time") from None
    finally:
        os.close(read_end)
    if report is None:
        raise _silent(bundle, done.stderr.decode(errors="replace").strip() or "ended unexpectedly")
    if (pid := int(report.get("pid", report.get("data", -1)))) <= 0:
        raise failure(str(report.get("message", "")), bundle.id, "create")
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
        # Without it, a session keyring per container exhausts root's quota of keys.
        "--no-new-keyring",
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


def _environment(write_end: int) -> dict[str, str]:
    # Nothing else of the engine's environment: it would stay with conmon for the container's life.
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "_OCI_SYNCPIPE": str(write_end),
        "TZ": "UTC",
    }


def _prepare(bundle: Bundle) -> None:
    """Make conmon's directories, and remove what an earlier run left in them."""
    shutil.rmtree(bundle.persist_dir, ignore_errors=True)
    bundle.persist_dir.mkdir(parents=True)
    bundle.exit_dir.mkdir(parents=True, exist_ok=True)
    bundle.log_path.parent.mkdir(parents=True, exist_ok=True)
    for left in (bundle.exit_dir / bundle.id, bundle.pid_file, bundle.path / "oom"):
        left.unlink(missing_ok=True)


async def _report(read_end: int) -> dict[str, Any] | None:
    """conmon's first line, None when it ended without one."""
    data = b""
    while b"\n" not in data and len(data) < _LONGEST_REPORT:
        await anyio.wait_readable(read_end)
        if not (piece := os.read(read_end, 4096)):
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
