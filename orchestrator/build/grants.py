"""What a build may use and must not keep: secrets, and agents that hold ssh keys.

A secret is a file of the run-time directory for as long as one RUN lasts, and an agent is reached
through a socket of that RUN's own; neither is part of a layer, the history or a cache key.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio import to_thread
from anyio.abc import SocketStream

from orchestrator.build.instructions import RunMount
from orchestrator.build.problems import Where
from orchestrator.errors import Failed, InvalidInput, Unavailable
from orchestrator.model.stack import BuildSecret

_AGENT_S = 10.0
_SECRET_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Grants:
    """The secrets and agents of one build, by id."""

    secrets: Mapping[str, BuildSecret] = field(default_factory=dict)
    agents: Mapping[str, str] = field(default_factory=dict)

    def secret(self, mount: RunMount, where: Where) -> bytes | None:
        """The secret that the mount asks for; None where the build was given none. Blocking.

        Raises: InvalidInput: it is required, or its file cannot be read.
        """
        given = self.secrets.get(mount.id)
        if given is None:
            if mount.required:
                raise where.invalid(
                    f"the secret {mount.id} is not given", f"build with --secret id={mount.id},…"
                )
            return None
        if not given.file:
            return given.value.encode("utf-8", "surrogateescape")
        try:
            data = Path(given.file).read_bytes()
        except OSError as error:
            raise InvalidInput(
                f"the secret {mount.id} cannot be read: {given.file}: {error.strerror}",
                code="secret-unreadable",
                about=mount.id,
                hint="check the file of --secret",
            ) from error
        if len(data) > _SECRET_MAX:
            raise InvalidInput(
                f"the secret {mount.id} has {len(data)} bytes",
                code="secret-too-large",
                about=mount.id,
                hint=f"a secret has at most {_SECRET_MAX} bytes",
            )
        return data

    def agent(self, mount: RunMount, where: Where) -> str:
        """The agent's socket, or key files joined by commas; "" where the build was given none.

        Raises: InvalidInput: it is required.
        """
        found = self.agents.get(mount.id, "")
        if not found and mount.required:
            raise where.invalid(
                f"the ssh agent {mount.id} is not given", f"build with --ssh {mount.id}"
            )
        return found


def write_secret(path: Path, data: bytes, mount: RunMount) -> None:
    """Nothing, once the file holds the secret, for whom the mount says. Blocking."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, data)
        os.fchown(fd, mount.user_id, mount.group_id)
        os.fchmod(fd, mount.mode)
    finally:
        os.close(fd)


@asynccontextmanager
async def relayed(agent: str, directory: Path, mount: RunMount) -> AsyncGenerator[Path]:
    """A socket in directory that leads to the agent (see `Grants.agent`) while the block lasts.

    It is the mount's user's, whom the agent itself would not let in.
    Raises: Unavailable: there is no such agent, or its keys cannot be read.
    """
    async with _agent(agent, directory) as socket:
        path = directory / "agent"
        listener = await anyio.create_unix_listener(path, mode=mount.mode)
        os.chown(path, mount.user_id, mount.group_id)

        async def serve(client: SocketStream) -> None:
            async with client:
                with anyio.CancelScope():
                    await _joined(client, socket)

        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            yield path
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def environment_for_git(grants: Grants, directory: Path) -> AsyncGenerator[Mapping[str, str]]:
    """The variables by which git finds the build's default agent, where there is one."""
    agent = grants.agents.get("default", "")
    if not agent:
        yield {}
        return
    async with _agent(agent, directory) as socket:
        yield {"SSH_AUTH_SOCK": socket}


@asynccontextmanager
async def _agent(agent: str, directory: Path) -> AsyncGenerator[str]:
    paths = [Path(part) for part in agent.split(",")]
    if len(paths) == 1 and await to_thread.run_sync(paths[0].is_socket):
        yield agent
        return
    for path in paths:
        if not path.is_file():
            raise Unavailable(
                f"{path} is neither an ssh agent's socket nor a key",
                code="no-ssh-agent",
                about=str(path),
                hint="start ssh-agent, or name a key file with --ssh default=FILE",
            )
    async with _own_agent(paths, directory) as socket:
        yield socket


@asynccontextmanager
async def _own_agent(keys: Sequence[Path], directory: Path) -> AsyncGenerator[str]:
    """An agent that holds these keys, as long as the block lasts."""
    if shutil.which("ssh-agent") is None:
        raise Unavailable(
            "ssh-agent is not installed, and key files need it",
            code="no-ssh-agent",
            hint="install the package openssh-client, or give an agent's socket",
        )
    socket = directory / "keys"
    agent = await anyio.open_process(
        ["ssh-agent", "-D", "-a", str(socket)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with anyio.move_on_after(_AGENT_S):
            while not socket.exists():  # noqa: ASYNC110 (the program tells nobody when it is ready)
                await anyio.sleep(0.01)
        added = await anyio.run_process(
            ["ssh-add", "-q", *map(str, keys)],
            env={"PATH": os.environ.get("PATH", ""), "SSH_AUTH_SOCK": str(socket)},
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if added.returncode:
            said = added.stderr.decode(errors="replace").strip()
            raise Failed(
                f"a key cannot be used: {said}",
                code="ssh-key-refused",
                about=str(keys[0]),
                hint="a key with a passphrase needs an agent of your own: --ssh default",
            )
        yield str(socket)
    finally:
        agent.terminate()
        with anyio.move_on_after(_AGENT_S, shield=True):
            await agent.wait()


async def _joined(client: SocketStream, socket: str) -> None:
    try:
        server = await anyio.connect_unix(socket)
    except OSError:
        return
    async with server, anyio.create_task_group() as tasks:

        async def copy(source: SocketStream, sink: SocketStream) -> None:
            try:
                async for data in source:
                    await sink.send(data)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass
            tasks.cancel_scope.cancel()

        tasks.start_soon(copy, client, server)
        tasks.start_soon(copy, server, client)
