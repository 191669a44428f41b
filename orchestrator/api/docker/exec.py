"""Docker's endpoints about execs, and one of our own to join one again."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from aiohttp import web

from orchestrator.api.docker.attach import StreamClient, joined
from orchestrator.api.docker.framing import FRAMED, RAW, frame
from orchestrator.api.docker.requests import json_body, terminal_size, window_size
from orchestrator.api.outbox import Outbox
from orchestrator.api.parts import Parts
from orchestrator.api.streams import Taken, hijack
from orchestrator.errors import InvalidInput, PystackError
from orchestrator.model.detach import DEFAULT, DetachKeys, key_bytes
from orchestrator.model.exec import Exec, ExecSpec
from orchestrator.runtime.attach import Attachment

_STDOUT, _STDERR = 1, 2


class ExecHandlers:
    def __init__(self, parts: Parts) -> None:
        self._execs = parts.execs
        self._data_dir = parts.settings.data_dir

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/containers/{id}/exec", self.create),
            web.post("/exec/{id}/start", self.start),
            web.post("/exec/{id}/resize", self.resize),
            web.get("/exec/{id}/json", self.inspect),
            web.post("/pystack/v1/execs/{id}/attach", self.attach),
        ]

    def _get(self, request: web.Request) -> Exec:
        return self._execs.get(request.match_info["id"])

    async def create(self, request: web.Request) -> web.Response:
        spec = exec_spec(await json_body(request))
        made = await self._execs.create(request.match_info["id"], spec)
        return web.json_response({"Id": made.id}, status=201)

    async def start(self, request: web.Request) -> web.StreamResponse:
        body = await json_body(request)
        found = self._get(request)
        if body.get("Detach"):
            await self._execs.start(found.id)
            return web.Response(status=200)
        self._execs.check_startable(found.id)
        if found.spec.tty and (size := body.get("ConsoleSize")):
            rows, columns = terminal_size(size)
            self._execs.set_size(found.id, rows=rows, columns=columns)
        return await self._streamed(request, found, self._execs.started(found.id))

    async def attach(self, request: web.Request) -> web.StreamResponse:
        """The exec's streams again, from now on: for who lost them when an engine ended."""
        found = self._get(request)
        self._execs.check_running(found.id)
        return await self._streamed(request, found, self._execs.joined(found.id))

    async def resize(self, request: web.Request) -> web.Response:
        rows, columns = window_size(request)
        self._execs.resize(self._get(request).id, rows=rows, columns=columns)
        return web.Response(status=200)

    async def inspect(self, request: web.Request) -> web.Response:
        return web.json_response(exec_inspect(self._get(request)))

    async def _streamed(
        self,
        request: web.Request,
        found: Exec,
        streams: AbstractAsyncContextManager[Attachment],
    ) -> web.StreamResponse:
        spec = found.spec
        keys = None
        if spec.stdin:
            text = request.query.get("detachKeys") or spec.detach_keys or DEFAULT
            keys = DetachKeys(key_bytes(text) if spec.tty else b"")
        wanted = {n for n, asked in ((_STDOUT, spec.stdout), (_STDERR, spec.stderr)) if asked}
        async with hijack(request, RAW if spec.tty else FRAMED) as stream:
            detached = False
            with Outbox(stream, self._data_dir, lambda: True) as outbox:
                client = StreamClient(stream, outbox, framed=not spec.tty)
                try:
                    async with streams as session:
                        detached = await joined(client, session, keys, wanted)
                except PystackError as error:
                    # The head has gone out: the stream is the only way left to tell.
                    stream.write(_told(error, framed=not spec.tty))
            if not detached:
                # Whoever sees the end of the stream asks for the exit code next.
                await self._execs.ended(found.id)
        return Taken()


def _told(error: PystackError, *, framed: bool) -> bytes:
    text = f"{error.message}\r\n".encode()
    return frame(_STDERR, text) if framed else text


def exec_spec(body: Mapping[str, Any]) -> ExecSpec:
    """The specification in the body of POST /containers/{id}/exec.

    Raises: InvalidInput: a field has a value of the wrong kind.
    """
    try:
        return ExecSpec(
            command=tuple(str(word) for word in body.get("Cmd") or ()),
            environment=tuple(str(entry) for entry in body.get("Env") or ()),
            user=str(body.get("User") or ""),
            working_dir=str(body.get("WorkingDir") or ""),
            tty=bool(body.get("Tty")),
            stdin=bool(body.get("AttachStdin")),
            stdout=bool(body.get("AttachStdout")),
            stderr=bool(body.get("AttachStderr")),
            privileged=bool(body.get("Privileged")),
            detach_keys=str(body.get("DetachKeys") or ""),
            console_size=terminal_size(body.get("ConsoleSize") or (0, 0)),
        )
    except (TypeError, ValueError, IndexError) as error:
        raise InvalidInput(
            f"malformed exec configuration: {error}",
            code="bad-request",
            about="body",
            hint="see the Engine API's ExecConfig",
        ) from error


def exec_inspect(found: Exec) -> dict[str, Any]:
    """The body of GET /exec/{id}/json."""
    spec = found.spec
    config: dict[str, Any] = {
        "tty": spec.tty,
        "entrypoint": spec.command[0],
        "arguments": list(spec.command[1:]),
        "privileged": spec.privileged,
    }
    if spec.user:
        config["user"] = spec.user
    return {
        "ID": found.id,
        "Running": found.running,
        "ExitCode": found.exit_code,
        "ProcessConfig": config,
        "OpenStdin": spec.stdin,
        "OpenStderr": spec.stderr,
        "OpenStdout": spec.stdout,
        "CanRemove": found.exit_code is not None,
        "ContainerID": found.container_id,
        "DetachKeys": spec.detach_keys,
        "Pid": found.pid,
        # Our own: what streamed while one engine took over from another may be lost.
        "Adopted": found.adopted,
    }
