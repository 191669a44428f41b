"""The networks that RUNs are in: a namespace is made and connected once, and lent to one RUN after
another, as connecting costs more than most commands take.
"""

from __future__ import annotations

import subprocess
import time
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio
from anyio import to_thread

from orchestrator.errors import Failed
from orchestrator.model.container import ContainerSpec
from orchestrator.model.ids import new_id
from orchestrator.model.observed import Container

_HOLDER = ("unshare", "--net", "sh", "-c", "echo ready; exec cat")
_READY_S = 20.0
_UNDO_S = 60.0


class BuildNetwork(Protocol):
    """The engine's networks as a build sees them."""

    async def leased(self, container: Container) -> Container:
        """The container with its place on the network."""

    async def write_files(self, directory: Path, container: Container) -> None:
        """Nothing, once hosts and resolv.conf are there."""

    async def connect(self, container: Container, pid: int) -> None:
        """Nothing, once the process has its interfaces."""

    async def withdraw(self, container: Container) -> None:
        """Nothing, once its place is free again."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A network to be in: `namespace` is its path, "" the machine's own; `container` is who is on
    it, as the networks know it."""

    container: Container
    namespace: str


class RunNetworks:
    """The networks of one build; all are gone when `stack` ends."""

    def __init__(
        self, network: BuildNetwork, extra_hosts: tuple[str, ...], stack: AsyncExitStack
    ) -> None:
        self._network = network
        self.extra_hosts = extra_hosts
        self._stack = stack
        self._idle: defaultdict[str, list[Connected]] = defaultdict(list)

    @asynccontextmanager
    async def lent(self, mode: str) -> AsyncGenerator[Connected]:
        """A network of that mode ("" is the default one, else none, host or a name), this block's
        alone.

        Raises: NotFound: no such network.  Failed: the kernel refused.
        """
        one = self._idle[mode].pop() if self._idle[mode] else await self._made(mode)
        try:
            yield one
        finally:
            self._idle[mode].append(one)

    async def write_files(self, directory: Path, one: Connected) -> None:
        """Nothing, once hosts and resolv.conf are in directory, as they are at the beginning."""
        await self._network.write_files(directory, one.container)

    async def _made(self, mode: str) -> Connected:
        identifier = new_id()
        spec = ContainerSpec(image="", network_mode=mode, extra_hosts=self.extra_hosts)
        container = Container(
            id=identifier,
            name=f"build-{identifier[:12]}",
            spec=spec,
            image_id="",
            created_at=time.time(),
        )
        if mode == "host":
            return Connected(container, "")
        pid = await to_thread.run_sync(_hold)
        self._stack.push_async_callback(_release, pid)
        container = await self._network.leased(container)
        self._stack.push_async_callback(self._withdrawn, container)
        await self._network.connect(container, pid.pid)
        return Connected(container, f"/proc/{pid.pid}/ns/net")

    async def _withdrawn(self, container: Container) -> None:
        with anyio.move_on_after(_UNDO_S, shield=True):
            await self._network.withdraw(container)


def _hold() -> subprocess.Popen[bytes]:
    """A process in a new network namespace; it ends with its stdin, and so with this process."""
    try:
        holder = subprocess.Popen(
            _HOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
    except OSError as error:
        raise _refused(str(error)) from error
    assert holder.stdout is not None
    if holder.stdout.readline() != b"ready\n":
        said = holder.communicate()[1].decode(errors="replace").strip()
        raise _refused(said)
    return holder


async def _release(holder: subprocess.Popen[bytes]) -> None:
    def release() -> None:
        holder.kill()
        holder.communicate()

    with anyio.move_on_after(_READY_S, shield=True):
        await to_thread.run_sync(release)


def _refused(said: str) -> Failed:
    return Failed(
        f"no network can be made for a build: {said}",
        code="network-failed",
        hint="building needs CAP_SYS_ADMIN and the program unshare (package util-linux)",
    )
