"""The HTTP server: every route with and without a version, every error as JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from aiohttp import web

from orchestrator.api.docker.containers import ContainerHandlers
from orchestrator.api.docker.system import SystemHandlers
from orchestrator.api.docker.things import ThingHandlers
from orchestrator.api.parts import Parts
from orchestrator.api.stacks import StackHandlers
from orchestrator.api.status import body_of, status_of
from orchestrator.errors import Failed, PystackError

_MAX_BODY_BYTES = 16 << 20
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _errors_as_json(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except PystackError as error:
        return web.json_response(body_of(error), status=status_of(error))
    except web.HTTPException as error:
        body = {"message": error.reason, "code": "http", "about": request.path, "hint": ""}
        return web.json_response(body, status=error.status)
    except (ConnectionError, TimeoutError):
        raise
    except Exception as error:
        structlog.get_logger().exception("request failed", path=request.path)
        fault = Failed(
            f"the engine met an error of its own: {type(error).__name__}: {error}",
            code="internal-error",
            about=request.path,
            hint="`pystack engine logs` has the details",
        )
        return web.json_response(body_of(fault), status=500)


def application(parts: Parts) -> web.Application:
    """The API over these parts."""
    app = web.Application(middlewares=[_errors_as_json], client_max_size=_MAX_BODY_BYTES)
    handlers = (
        SystemHandlers(parts),
        ContainerHandlers(parts),
        ThingHandlers(parts),
        StackHandlers(parts),
    )
    for handler in handlers:
        for route in handler.routes():
            app.router.add_route(route.method, route.path, route.handler)
            versioned = "/v{version:[0-9.]+}" + route.path
            app.router.add_route(route.method, versioned, route.handler)
    return app


@asynccontextmanager
async def served(app: web.Application, socket: Path) -> AsyncIterator[None]:
    """The API served on the socket while the block lasts; the socket is its owner's alone."""
    socket.parent.mkdir(parents=True, exist_ok=True)
    socket.unlink(missing_ok=True)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    # Bound under another name, so that whoever finds the socket can connect and may.
    new = socket.with_name(socket.name + ".new")
    new.unlink(missing_ok=True)
    site = web.UnixSite(runner, str(new))
    await site.start()
    new.chmod(0o600)
    new.rename(socket)
    try:
        yield
    finally:
        socket.unlink(missing_ok=True)
        await runner.cleanup()
