"""Docker's endpoints that join a client to a container's own streams: attach, its websocket form,
resize."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import Protocol

import anyio
from aiohttp import WSMsgType, web

from orchestrator.api.docker.framing import FRAMED, RAW, frame
from orchestrator.api.docker.logs import replay
from orchestrator.api.docker.requests import flag, window_size
from orchestrator.api.outbox import Outbox
from orchestrator.api.parts import Parts
from orchestrator.api.streams import Hijacked, Taken, hijack
from orchestrator.engine.container_records import not_running, tell_of
from orchestrator.errors import Conflict
from orchestrator.model.detach import DEFAULT, DetachKeys, key_bytes
from orchestrator.model.observed import Container
from orchestrator.runtime.attach import Attachment, resize

_NOT_NOW = {
    "paused": ("paused", "unpause it first"),
    "restarting": ("restarting", "wait until it is running"),
    "removing": ("being removed", "make a new one"),
    "dead": ("dead", "remove it"),
}


class AttachHandlers:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._containers = parts.nouns.containers

    def routes(self) -> list[web.RouteDef]:
        one = "/containers/{id}"
        return [
            web.post(one + "/resize", self.resize),
            web.post(one + "/attach", self.attach),
            web.get(one + "/attach/ws", self.attach_websocket),
        ]

    def _get(self, request: web.Request) -> Container:
        return self._containers.get(request.match_info["id"])

    async def resize(self, request: web.Request) -> web.Response:
        container = self._get(request)
        rows, columns = window_size(request)
        if not container.running:
            raise not_running(container)
        resize(self._parts.launcher.bundle(container).path, rows=rows, columns=columns)
        size = {"height": str(rows), "width": str(columns)}
        tell_of(self._parts.events, "resize", container, size)
        return web.Response(status=200)

    async def attach(self, request: web.Request) -> web.StreamResponse:
        """`h` and `w`, our own, give the terminal its size before the first byte is written;
        `nowait`, our own, ends at once where the container does not run."""
        container = self._attachable(request)
        # Before the takeover: after it there is no status to answer with.
        keys = _keys(request, container)
        tell_of(self._parts.events, "attach", container)
        tty = container.spec.tty
        async with AsyncExitStack() as stack:
            session = None
            if container.running and flag(request, "stream"):
                # Before the head: whoever has that one misses nothing that comes after it.
                with suppress(Conflict):
                    session = await stack.enter_async_context(self._session(request, container))
            stream = await stack.enter_async_context(hijack(request, RAW if tty else FRAMED))
            outbox = Outbox(
                stream,
                self._parts.settings.data_dir,
                lambda: self._containers.streams.clients_of(container.id) < 2,
            )
            with outbox:
                client = StreamClient(stream, outbox, framed=not tty)
                await self._serve(request, container, client, keys, session)
        return Taken()

    async def attach_websocket(self, request: web.Request) -> web.StreamResponse:
        """As `attach`, in binary messages, stdout and stderr as one.

        Source: Engine API reference, "ContainerAttachWebsocket".
        """
        container = self._attachable(request)
        keys = _keys(request, container)
        tell_of(self._parts.events, "attach", container)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await self._serve(request, container, _WebsocketClient(socket), keys, None)
        await socket.close()
        return socket

    def _attachable(self, request: web.Request) -> Container:
        container = self._get(request)
        if wrong := _NOT_NOW.get(container.state.status):
            raise Conflict(
                f"container {container.name} is {wrong[0]}, {wrong[1]}",
                code="container-not-attachable",
                about=container.name,
                hint=wrong[1],
            )
        return container

    async def _serve(
        self,
        request: web.Request,
        container: Container,
        client: _AnyClient,
        keys: DetachKeys,
        session: Attachment | None,
    ) -> None:
        wanted = {n for n, name in ((1, "stdout"), (2, "stderr")) if flag(request, name)}
        if flag(request, "logs"):
            async for number, text in replay(self._parts, container):
                if number in wanted:
                    await client.send(number, text)
        if not flag(request, "stream"):
            return
        typed = keys if self._wants_input(request, container) else None
        if session is not None:
            await joined(client, session, typed, wanted)
            return
        async with self._session(request, container) as started:
            if started is not None:
                await joined(client, started, typed, wanted)

    def _wants_input(self, request: web.Request, container: Container) -> bool:
        return flag(request, "stdin") and container.spec.stdin_open

    def _session(
        self, request: web.Request, container: Container
    ) -> AbstractAsyncContextManager[Attachment | None]:
        """The container's streams, now or when it is started."""
        return self._containers.streams.attached(
            container.id,
            self._parts.launcher.bundle(container),
            with_input=self._wants_input(request, container),
            size=window_size(request) if container.spec.tty and "h" in request.query else None,
            waiting=not flag(request, "nowait"),
        )


async def joined(
    client: _AnyClient, session: Attachment, keys: DetachKeys | None, wanted: set[int]
) -> bool:
    """Whether its client typed the keys to detach; else the process' output has ended.

    With `keys` the client's bytes are the process' stdin.
    """
    detached = False
    async with anyio.create_task_group() as tasks:

        async def send_input(keys: DetachKeys) -> None:
            nonlocal detached
            async for data in client.received():
                passed, detached = keys.feed(data)
                await session.write(passed)
                if detached:
                    tasks.cancel_scope.cancel()
                    return
            await session.write(keys.rest())
            session.end_input()

        tasks.start_soon(client.pump)
        if keys is not None:
            tasks.start_soon(send_input, keys)
        async for number, data in session.output():
            if number in wanted:
                await client.send(number, data)
        await client.flush()
        tasks.cancel_scope.cancel()
    return detached


def _keys(request: web.Request, container: Container) -> DetachKeys:
    text = request.query.get("detachKeys") or DEFAULT
    return DetachKeys(key_bytes(text) if container.spec.tty else b"")


class _AnyClient(Protocol):
    """Whoever is at the other end: takes pieces of output, gives bytes of input."""

    async def send(self, stream: int, data: bytes) -> None: ...

    async def pump(self) -> None: ...

    async def flush(self) -> None: ...

    def received(self) -> AsyncIterator[bytes]: ...


class StreamClient:
    """A client at a hijacked connection; output is framed unless it is a terminal's."""

    def __init__(self, stream: Hijacked, outbox: Outbox, *, framed: bool) -> None:
        self._stream = stream
        self._outbox = outbox
        self._framed = framed
        self._begun = False

    async def send(self, stream: int, data: bytes) -> None:
        """Nothing, once the piece of output is on its way."""
        if not self._begun:
            await self._stream.head_taken()
            self._begun = True
        await self._outbox.put(frame(stream, data) if self._framed else data)

    async def pump(self) -> None:
        """Send what is on its way; to be run meanwhile."""
        await self._outbox.pump()

    async def flush(self) -> None:
        """Nothing, once everything has been sent."""
        await self._outbox.flush()

    def received(self) -> AsyncIterator[bytes]:
        """What the client sends."""
        return self._stream.received()


class _WebsocketClient:
    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def send(self, _stream: int, data: bytes) -> None:
        await self._socket.send_bytes(data)

    async def pump(self) -> None:
        """Nothing: `send` waits itself."""

    async def flush(self) -> None:
        """Nothing: it has been sent."""

    async def received(self) -> AsyncIterator[bytes]:
        async for message in self._socket:
            if message.type is WSMsgType.TEXT:
                yield message.data.encode()
            elif message.type is WSMsgType.BINARY:
                yield message.data
