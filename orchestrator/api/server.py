"""The HTTP server: every route with and without a version, every error as JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

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
from orchestrator.api.docker.grants import GrantHandlers
from orchestrator.api.docker.image_archives import ImageArchiveHandlers
from orchestrator.api.docker.images import ImageHandlers
from orchestrator.api.docker.logs import LogHandlers
from orchestrator.api.docker.networks import NetworkHandlers
from orchestrator.api.docker.registry import RegistryHandlers
from orchestrator.api.docker.stats import StatsHandlers
from orchestrator.api.docker.swarm import PluginHandlers, SwarmHandlers
from orchestrator.api.docker.system import SystemHandlers
from orchestrator.api.docker.unsupported import UnsupportedHandlers
from orchestrator.api.docker.volumes import VolumeHandlers
from orchestrator.api.image_verify import ImageVerifyHandlers
from orchestrator.api.local_file import LocalFileHandlers
from orchestrator.api.parts import Parts
from orchestrator.api.stacks.logs import StackLogHandlers
from orchestrator.api.stacks.views import StackViewHandlers
from orchestrator.api.stacks.wishes import WishHandlers
from orchestrator.api.status import body_of, status_of
from orchestrator.api.versions import add_headers, versioned
from orchestrator.engine.faults import told
from orchestrator.errors import PystackError

_MAX_BODY_BYTES = 16 << 20
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _errors_as_json(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await called(handler, request)
    except PystackError as error:
        return web.json_response(body_of(error), status=status_of(error))
    except web.HTTPException as error:
        return _refused(request, error)
    except (ConnectionError, TimeoutError):
        raise
    except Exception as error:
        return web.json_response(body_of(told(error, request.path)), status=500)


def _refused(request: web.Request, error: web.HTTPException) -> web.Response:
    """What the server itself has to say, with Docker's word for a path that is not served."""
    status, message = error.status, error.reason
    if status in (404, 405):
        status, message = 404, "page not found"
    body = {"message": message, "code": "http", "about": request.path, "hint": ""}
    return web.json_response(body, status=status)


def application(parts: Parts) -> web.Application:
    """The API over these parts."""
    app = web.Application(middlewares=[_errors_as_json, versioned], client_max_size=_MAX_BODY_BYTES)
    for route in routes(parts):
        app.router.add_route(route.method, route.path, route.handler)
        app.router.add_route(route.method, "/v{version:[^/]+}" + route.path, route.handler)
    app.on_response_prepare.extend((_plain_json, add_headers))
    return app


def routes(parts: Parts) -> Iterator[web.RouteDef]:
    """Every endpoint, without a version in its path."""
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
        GrantHandlers(parts, secret=True),
        GrantHandlers(parts, secret=False),
        SwarmHandlers(),
        PluginHandlers(),
        UnsupportedHandlers(parts),
        WishHandlers(parts),
        StackViewHandlers(parts),
        StackLogHandlers(parts),
    )
    for handler in handlers:
        yield from handler.routes()


async def _plain_json(_: web.Request, response: web.StreamResponse) -> None:
    # Docker's client reads an error's message only where the type has no charset.
    if response.content_type == "application/json":
        response.headers["Content-Type"] = "application/json"
