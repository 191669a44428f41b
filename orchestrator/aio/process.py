"""One finite child process: started, fed, read, reaped.

Children are owned by pidfd and `os.waitid`, never by asyncio's child watcher, which can report 255
for a real exit code when signals arrive. Not for children that live on: those are conmon's.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import anyio
import anyio.abc
import anyio.to_thread

_CHUNK = 1 << 16
_MOST_LEFT_IN_A_PIPE = 1 << 20

Sink = Callable[[int, bytes], None]


@dataclass(frozen=True, slots=True)
class Completed:
    """How a process ended: `exit_code` is 128 + signal when a signal ended it."""

    exit_code: int
    stdout: bytes
    stderr: bytes


async def run_process(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    timeout_s: float | None = None,
    pass_fds: Sequence[int] = (),
    output: Sink | None = None,
) -> Completed:
    """The exit code and output of `argv`, run to its end in a session of its own.

    With `output`, every piece is handed to it as (1 or 2, bytes) when it arrives, and nothing is
    kept. Returns when the process itself ends: descendants that keep its pipes open are not waited
    for. Cancellation and time-out kill the whole session's process group and reap the child.

    Raises: TimeoutError; OSError: the program cannot be started (FileNotFoundError, ...).
    """
    child = await anyio.to_thread.run_sync(_spawn, argv, bool(stdin), env, cwd, pass_fds)
    kept: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
    sink = output or (lambda stream, data: kept[stream].extend(data))
    with child:
        exit_code = await _attend(child, stdin, sink, timeout_s)
    return Completed(exit_code, bytes(kept[1]), bytes(kept[2]))


def _spawn(
    argv: Sequence[str],
    fed: bool,
    env: Mapping[str, str] | None,
    cwd: str | os.PathLike[str] | None,
    pass_fds: Sequence[int],
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        list(argv),
        stdin=subprocess.PIPE if fed else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=None if env is None else dict(env),
        cwd=cwd,
        pass_fds=tuple(pass_fds),
        start_new_session=True,
        bufsize=0,
    )


async def _attend(
    child: subprocess.Popen[bytes], stdin: bytes, sink: Sink, timeout_s: float | None
) -> int:
    pidfd = os.pidfd_open(child.pid)
    try:
        with anyio.fail_after(timeout_s):
            await _serve(child, pidfd, stdin, sink)
    except BaseException:
        _kill_group(child.pid)
        with anyio.CancelScope(shield=True):
            await anyio.wait_readable(pidfd)
        raise
    finally:
        # Readable means ended, so this never blocks; Popen must learn of it or it would wait too.
        child.returncode = _reap(pidfd)
        os.close(pidfd)
    return child.returncode


async def _serve(child: subprocess.Popen[bytes], pidfd: int, stdin: bytes, sink: Sink) -> None:
    assert child.stdout is not None
    assert child.stderr is not None
    outputs = {1: child.stdout.fileno(), 2: child.stderr.fileno()}
    for fd in outputs.values():
        os.set_blocking(fd, False)
    async with anyio.create_task_group() as pipes:
        for stream, fd in outputs.items():
            pipes.start_soon(_read, fd, stream, sink)
        if child.stdin is not None:
            pipes.start_soon(_write, child, stdin)
        await anyio.wait_readable(pidfd)
        pipes.cancel_scope.cancel()
    for stream, fd in outputs.items():
        _drain(fd, stream, sink)


async def _read(fd: int, stream: int, sink: Sink) -> None:
    while True:
        await anyio.wait_readable(fd)
        if not (data := os.read(fd, _CHUNK)):
            return
        sink(stream, data)


def _drain(fd: int, stream: int, sink: Sink) -> None:
    """What the ended child left in its pipe. Bounded, because a descendant may still write."""
    left = _MOST_LEFT_IN_A_PIPE
    while left > 0:
        try:
            data = os.read(fd, min(_CHUNK, left))
        except BlockingIOError:
            return
        if not data:
            return
        left -= len(data)
        sink(stream, data)


async def _write(child: subprocess.Popen[bytes], data: bytes) -> None:
    assert child.stdin is not None
    fd = child.stdin.fileno()
    os.set_blocking(fd, False)
    view = memoryview(data)
    try:
        while view:
            await anyio.wait_writable(fd)
            view = view[os.write(fd, view) :]
    except BrokenPipeError:
        pass  # the child does not want the rest, as `head` would not
    child.stdin.close()


def _kill_group(pid: int) -> None:
    # The child is not reaped yet, so its number cannot have been given to another process.
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _reap(pidfd: int) -> int:
    ended = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    if ended is None:
        return 255
    return ended.si_status if ended.si_code == os.CLD_EXITED else 128 + ended.si_status
