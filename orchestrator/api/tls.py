"""A TCP port where the API is had by TLS, as a relay to the engine's own socket.

It is a relay, not a second listener of the HTTP server, because asyncio's TLS closes both halves
of a connection when the client closes one: `echo x | docker run -i` would lose its output.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import structlog
from anyio.abc import AnyByteStream, SocketAttribute
from anyio.streams.tls import TLSListener

from orchestrator.errors import InvalidInput
from orchestrator.settings import Settings

_HANDSHAKE_S = 10.0
_LOOK_AGAIN_S = 15.0
_KEEPALIVE_S = 30
_TCP_CLOSE = 7  # tcp_states.h


@asynccontextmanager
async def tls_relay(settings: Settings) -> AsyncIterator[None]:
    """The socket relayed to at `tls_listen` while the block lasts, where that is set.

    Raises: InvalidInput: a file cannot be read, or the address not be listened at.
    """
    context = tls_context(settings)
    if context is None:
        yield
        return
    host, _, port = settings.tls_listen.rpartition(":")
    try:
        listener = await anyio.create_tcp_listener(
            local_host=host.strip("[]") or None, local_port=int(port)
        )
    except (OSError, ValueError) as error:
        raise _invalid("tls_listen", settings.tls_listen, error) from error

    async def relayed(stream: anyio.abc.ByteStream) -> None:
        sock = stream.extra(SocketAttribute.raw_socket)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_S)
        try:
            async with await anyio.connect_unix(settings.socket) as engine, stream:
                await _both_ways(stream, engine)
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            structlog.get_logger().info("tls connection broke", problem=str(error))

    tls = _Listener(listener, context, standard_compatible=False, handshake_timeout=_HANDSHAKE_S)
    async with tls, anyio.create_task_group() as tasks:
        tasks.start_soon(tls.serve, relayed)
        yield
        tasks.cancel_scope.cancel()


class _Listener(TLSListener):
    @staticmethod
    async def handle_handshake_error(exc: BaseException, stream: AnyByteStream) -> None:
        """Strangers who do not get in are told of in one line each."""
        await anyio.aclose_forcefully(stream)
        if not isinstance(exc, Exception):
            raise exc
        structlog.get_logger().info("tls connection refused", problem=str(exc))


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """What `tls_listen` is served with, None where that is not set.

    Raises: InvalidInput: a file is not named, or cannot be read.
    """
    if not settings.tls_listen:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    # Docker's client ends its half by TCP alone; what comes back must not fail for it.
    context.options |= getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    for name in ("tls_ca", "tls_cert", "tls_key"):
        if not getattr(settings, name):
            raise _invalid(name, "", "it is needed with tls_listen")
    try:
        assert settings.tls_cert is not None
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
        context.load_verify_locations(settings.tls_ca)
    except OSError as error:  # ssl.SSLError is one
        raise _invalid("tls_cert", f"{settings.tls_cert}, tls_key, tls_ca", error) from error
    return context


async def _both_ways(client: anyio.abc.ByteStream, engine: anyio.abc.SocketStream) -> None:
    """Nothing, once the engine has said everything, or the client is gone."""

    async def towards_engine() -> None:
        async for data in client:
            await engine.send(data)
        # The client has closed its half; the engine may have more to say.
        await engine.send_eof()
        while not _is_closed(client):  # noqa: ASYNC110 (the kernel tells nobody)
            await anyio.sleep(_LOOK_AGAIN_S)
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(towards_engine)
        async for data in engine:
            await client.send(data)
        tasks.cancel_scope.cancel()


def _is_closed(client: anyio.abc.ByteStream) -> bool:
    """Whether the connection is over: keep-alives find out when nothing is sent (tcp(7))."""
    sock = client.extra(SocketAttribute.raw_socket)
    return bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _TCP_CLOSE)


def _invalid(key: str, value: str, problem: object) -> InvalidInput:
    return InvalidInput(
        f"{key}: {value}: {problem}",
        code="settings-invalid",
        about=key,
        hint="mend it in the settings",
    )
