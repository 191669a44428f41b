"""A connection taken over: both halves, flow control both ways, clients that stall or vanish."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from aiohttp import web
from anyio import to_thread

from orchestrator.api.outbox import Outbox
from orchestrator.api.streams import Hijacked, Taken, hijack

Body = Callable[[Hijacked], Awaitable[None]]
LARGE = 8 << 20


@asynccontextmanager
async def connected(tmp_path: Path, body: Body) -> AsyncIterator[socket.socket]:
    """A client whose connection `body` serves; blocking calls on it go to threads."""

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        async with hijack(request, "application/x-raw") as stream:
            await body(stream)
        return Taken()

    app = web.Application()
    app.router.add_post("/", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    path = tmp_path / "socket"
    await web.UnixSite(runner, str(path)).start()
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(15)
            client.connect(str(path))
            client.sendall(
                b"POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
                b"Content-Length: 2\r\n\r\n{}"
            )
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += await to_thread.run_sync(client.recv, 1)
            assert head.startswith(b"HTTP/1.1 101 ")
            yield client
    finally:
        await runner.cleanup()


async def read_all(client: socket.socket) -> bytes:
    def read() -> bytes:
        data = b""
        while piece := client.recv(1 << 20):
            data += piece
        return data

    return await to_thread.run_sync(read)


async def test_after_the_client_s_half_is_closed_the_other_goes_on(tmp_path: Path) -> None:
    async def body(stream: Hijacked) -> None:
        received = b"".join([piece async for piece in stream.received()])
        for word in (b"got ", received, b" and more"):
            stream.write(word)
            await anyio.lowlevel.checkpoint()

    async with connected(tmp_path, body) as client:
        client.sendall(b"everything")
        client.shutdown(socket.SHUT_WR)
        assert await read_all(client) == b"got everything and more"


async def test_what_nobody_takes_is_not_read_from_the_client(tmp_path: Path) -> None:
    take = anyio.Event()
    sizes: list[int] = []

    async def body(stream: Hijacked) -> None:
        await take.wait()
        async for piece in stream.received():
            sizes.append(len(piece))

    async with connected(tmp_path, body) as client:
        sent = 0
        client.setblocking(False)
        with anyio.move_on_after(5):
            while sent < LARGE:
                with anyio.move_on_after(0.5) as waited:
                    await anyio.wait_writable(client)
                if waited.cancelled_caught:
                    break
                sent += client.send(bytes(65536))
        assert sent < LARGE, "the engine holds only so much of it"
        take.set()
        client.setblocking(True)
        await to_thread.run_sync(client.sendall, bytes(LARGE))
        client.shutdown(socket.SHUT_WR)
        assert await read_all(client) == b""
        assert sum(sizes) == sent + LARGE


async def test_drain_waits_for_a_slow_client_and_wakes_when_it_takes(tmp_path: Path) -> None:
    stalled = anyio.Event()

    async def body(stream: Hijacked) -> None:
        for _ in range(LARGE >> 16):
            stream.write(bytes(65536))
            if not stream.has_room:
                stalled.set()
            await stream.drain()

    async with connected(tmp_path, body) as client:
        with anyio.fail_after(10):
            await stalled.wait()
        assert len(await read_all(client)) == LARGE


async def test_a_client_that_vanishes_after_its_half_was_closed_is_noticed(tmp_path: Path) -> None:
    cancelled = anyio.Event()

    async def body(stream: Hijacked) -> None:
        try:
            assert [piece async for piece in stream.received()] == [b"last"]
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    async with connected(tmp_path, body) as client:
        client.sendall(b"last")
        client.shutdown(socket.SHUT_WR)
        client.close()
        with anyio.fail_after(5):
            await cancelled.wait()


def sent_through(
    tmp_path: Path, pieces: int, *, alone: Callable[[], bool], done: anyio.Event
) -> Body:
    """Puts that many pieces of 64 kB into an outbox that keeps a megabyte."""

    async def body(stream: Hijacked) -> None:
        with Outbox(stream, tmp_path, alone, most_kept=1_000_003) as outbox:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(outbox.pump)
                for number in range(pieces):
                    await outbox.put(number.to_bytes(4, "big") * 16384)
                done.set()
                await outbox.flush()
                tasks.cancel_scope.cancel()

    return body


def numbers(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 4], "big") for at in range(0, len(data), 65536)]


async def test_an_outbox_keeps_the_order_and_its_writer_waits_only_when_it_is_full(
    tmp_path: Path,
) -> None:
    done = anyio.Event()
    async with connected(tmp_path, sent_through(tmp_path, 12, alone=lambda: True, done=done)) as c:
        with anyio.fail_after(10):
            await done.wait()  # though nothing was read
        assert numbers(await read_all(c)) == list(range(12))
    assert [p.name for p in tmp_path.iterdir()] == ["socket"], "its file has no name"


async def test_a_full_outbox_holds_its_writer_where_it_is_the_only_one(tmp_path: Path) -> None:
    done = anyio.Event()
    async with connected(tmp_path, sent_through(tmp_path, 100, alone=lambda: True, done=done)) as c:
        with anyio.move_on_after(1):
            await done.wait()
        assert not done.is_set()
        assert numbers(await read_all(c)) == list(range(100))


async def test_a_full_outbox_is_cut_off_where_others_would_wait(tmp_path: Path) -> None:
    done = anyio.Event()
    body = sent_through(tmp_path, 100, alone=lambda: False, done=done)
    async with connected(tmp_path, body) as client:

        def read() -> int:
            size = 0
            try:
                while piece := client.recv(1 << 20):
                    size += len(piece)
            except ConnectionResetError:
                pass
            return size

        with anyio.fail_after(10):
            await done.wait()  # it is not held, though nothing was read
        assert await to_thread.run_sync(read) < 100 * 65536
