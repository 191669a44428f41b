"""Where the API is served: the engine's socket, and a TCP port for those with a certificate.

The socket is its owner's alone, or a group's too. TCP is TLS only, and a client's certificate must
be signed by the authority in the settings: whoever reaches the API is root on this machine.
"""

from __future__ import annotations

import grp
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from orchestrator.api.tls import tls_context, tls_relay
from orchestrator.errors import InvalidInput
from orchestrator.settings import Settings

_FIRST_HANDED_OVER = 3


def check_listeners(settings: Settings) -> None:
    """Raises: InvalidInput: the settings name a group or a file that there is not. Before an
    engine has touched anything is the time to say so."""
    _group(settings.socket_group)
    tls_context(settings)


@asynccontextmanager
async def served(app: web.Application, settings: Settings) -> AsyncIterator[None]:
    """The API served while the block lasts: on the socket that systemd handed over where it did,
    else on one made as the settings say, and by TLS where they ask for it.

    Raises: InvalidInput: the settings name a group, file or address that there is not.
    Source: sd_listen_fds(3).
    """
    owner = _group(settings.socket_group)
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=1.0,
        # Whoever only watches (logs, events, wait) must not be served after going away. What
        # changes the machine is shielded or belongs to a stack's loop.
        handler_cancellation=True,
    )
    await runner.setup()
    handed_over = os.environ.get("LISTEN_PID") == str(os.getpid())
    try:
        if handed_over:
            await web.SockSite(runner, socket.socket(fileno=_FIRST_HANDED_OVER)).start()
        else:
            await _bound(runner, settings.socket, owner)
        async with tls_relay(settings):
            yield
    finally:
        if not handed_over:
            settings.socket.unlink(missing_ok=True)
        await runner.cleanup()


async def _bound(runner: web.AppRunner, path: Path, owner: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    # Bound under another name, so that whoever finds the socket can connect and may.
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    # As many as may come at once: beyond it, a client that must not block is refused.
    await web.UnixSite(runner, str(new), backlog=1024).start()
    if owner >= 0:
        os.chown(new, -1, owner)
    new.chmod(0o660 if owner >= 0 else 0o600)
    new.rename(path)


def _group(name: str) -> int:
    """The number of the group, -1 where none is named."""
    if not name:
        return -1
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise InvalidInput(
            f"socket_group: there is no group {name}",
            code="settings-invalid",
            about="socket_group",
            hint=f"`groupadd --system {name}` makes it",
        ) from error
