"""The HTTP server: every route with and without a version, every error as JSON."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from orchestrator.api.build import BuildHandlers
from orchestrator.api.calls import called
from orchestrator.api.connections import ConnectionHandlers
from orchestrator.api.docker.archive import ArchiveHandlers
from orchestrator.api.docker.attach import AttachHandlers
from orchestrator.api.docker.build import DockerBuildHandlers
from orchestrator.api.docker.changes import ChangeHandlers
from orchestrator.api.docker.commit import CommitHandlers
from orchestrator.api.docker.container_list import ContainerListHandlers
from orchestrator.api.docker.containers import ContainerHandlers
from orchestrator.api.docker.disk_usage import DiskUsageHandlers
from orchestrator.api.docker.events import EventHandlers
from orchestrator.api.docker.exec import ExecHandlers
from orchestrator.api.docker.image_archives import ImageArchiveHandlers
from orchestrator.api.docker.images import ImageHandlers
from orchestrator.api.docker.logs import LogHandlers
from orchestrator.api.docker.networks import NetworkHandlers
from orchestrator.api.docker.registry import RegistryHandlers
from orchestrator.api.docker.stats import StatsHandlers
from orchestrator.api.docker.system import SystemHandlers
from orchestrator.api.docker.volumes import VolumeHandlers
from orchestrator.api.image_verify import ImageVerifyHandlers
from orchestrator.api.local_file import LocalFileHandlers
from orchestrator.api.parts import Parts
from orchestrator.api.stacks.logs import StackLogHandlers
from orchestrator.api.stacks.views import StackViewHandlers
from orchestrator.api.stacks.wishes import WishHandlers
from orchestrator.api.status import body_of, status_of, told
from orchestrator.errors import PystackError

_MAX_BODY_BYTES = 16 << 20
_FIRST_HANDED_OVER = 3
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _errors_as_json(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await called(handler, request)
    except PystackError as error:
        return web.json_response(body_of(error), status=status_of(error))
    except web.HTTPException as error:
        body = {"message": error.reason, "code": "http", "about": request.path, "hint": ""}
        return web.json_response(body, status=error.status)
    except (ConnectionError, TimeoutError):
        raise
    except Exception as error:
        return web.json_response(body_of(told(error, request.path)), status=500)


def application(parts: Parts) -> web.Application:
    """The API over these parts."""
    app = web.Application(middlewares=[_errors_as_json], client_max_size=_MAX_BODY_BYTES)
    handlers = (
        SystemHandlers(parts),
        EventHandlers(parts),
        ContainerListHandlers(parts),
        ContainerHandlers(parts),
        ChangeHandlers(parts),
        StatsHandlers(parts),
        AttachHandlers(parts),
        LogHandlers(parts),
        ExecHandlers(parts),
        ArchiveHandlers(parts),
        CommitHandlers(parts),
        BuildHandlers(parts),
        DockerBuildHandlers(parts),
        ImageArchiveHandlers(parts),
        RegistryHandlers(parts),
        ImageHandlers(parts),
        DiskUsageHandlers(parts),
        ImageVerifyHandlers(parts),
        LocalFileHandlers(),
        NetworkHandlers(parts),
        ConnectionHandlers(parts),
        VolumeHandlers(parts),
        WishHandlers(parts),
        StackViewHandlers(parts),
        StackLogHandlers(parts),
    )
    for handler in handlers:
        for route in handler.routes():
            app.router.add_route(route.method, route.path, route.handler)
            versioned = "/v{version:[0-9.]+}" + route.path
            app.router.add_route(route.method, versioned, route.handler)
    app.on_response_prepare.append(_plain_json)
    return app


async def _plain_json(_: web.Request, response: web.StreamResponse) -> None:
    # Docker's client reads an error's message only where the type has no charset.
    if response.content_type == "application/json":
        response.headers["Content-Type"] = "application/json"


@asynccontextmanager
async def served(app: web.Application, path: Path) -> AsyncIterator[None]:
    """The API served while the block lasts: on the socket that systemd handed over where it did,
    else on one made at `path`, its owner's alone.

    Source: sd_listen_fds(3).
    """
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
    if handed_over:
        await web.SockSite(runner, socket.socket(fileno=_FIRST_HANDED_OVER)).start()
    else:
        await _bound(runner, path)
    try:
        yield
    finally:
        if not handed_over:
            path.unlink(missing_ok=True)
        await runner.cleanup()


async def _bound(runner: web.AppRunner, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    # Bound under another name, so that whoever finds the socket can connect and may.
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    await web.UnixSite(runner, str(new)).start()
    new.chmod(0o600)
    new.rename(path)
