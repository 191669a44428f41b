"""Work inside a container's network namespace.

A thread that has called setns is never used for anything else: each piece of work gets a new
thread that ends with it, so no worker of a pool can come back in a wrong namespace.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from anyio import to_thread

from orchestrator.aio import libc
from orchestrator.errors import Failed

T = TypeVar("T")
_CLONE_NEWNET = 0x40000000


async def run_inside(pid: int, work: Callable[[int], T]) -> T:
    """What `work` returns, run in the network namespace of process `pid`.

    `work` gets a descriptor of the namespace and runs in a thread that is not inside yet: it
    calls `enter` once what it does outside is done.

    Raises: Failed: the process is gone, or has the engine's own network; what `work` raises.
    """
    return await to_thread.run_sync(inside, pid, work)


def inside(pid: int, work: Callable[[int], T]) -> T:
    """As `run_inside`, blocking."""
    try:
        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise Failed(
            f"process {pid} ended before its network was ready",
            code="container-gone",
            about=str(pid),
            hint="look at the container's logs",
        ) from error
    try:
        if os.fstat(namespace).st_ino == Path("/proc/self/ns/net").stat().st_ino:
            # What is meant for a container would change the host: addresses, routes, loopback.
            raise Failed(
                f"process {pid} has no network of its own",
                code="network-not-own",
                about=str(pid),
            )
        thread = _Errand(work, namespace)
        thread.start()
        thread.join()
        return thread.result()
    finally:
        os.close(namespace)


def enter(namespace: int) -> None:
    """Moves the calling thread into the namespace, for the rest of its life."""
    libc.setns(namespace, _CLONE_NEWNET)


class _Errand(threading.Thread, Generic[T]):
    def __init__(self, work: Callable[[int], T], namespace: int) -> None:
        super().__init__(name="pystack-netns", daemon=True)
        self._work = work
        self._namespace = namespace
        self._value: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._value.append(self._work(self._namespace))
        except BaseException as error:  # handed to the thread that waits
            self._error = error

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._value[0]
