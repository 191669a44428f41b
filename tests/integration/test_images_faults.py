"""Pulling from registries that fail, lie, redirect and break off; and pulls that are killed."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from aiohttp import web

from orchestrator.errors import Denied, Failed, PystackError, Unavailable
from orchestrator.images import retry, transport, upload
from orchestrator.images.content import ContentStore
from orchestrator.images.pull import pull_image
from orchestrator.images.push import push_image
from orchestrator.images.reference import parse_reference
from orchestrator.model.image import Image
from orchestrator.settings import Registry, Settings
from tests.support.engine import ROOT
from tests.support.isolation import Isolation
from tests.support.oci import OciImage

Handler = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


@dataclass
class Server:
    """A registry of one image whose every answer a test may replace: `before` is asked first, and
    None from it means the true answer."""

    image: OciImage
    before: Handler
    host: str = ""
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.path_qs, dict(request.headers)))
        if (replaced := await self.before(request)) is not None:
            return replaced
        wanted = request.path.rpartition("/")[2]
        if "/manifests/" in request.path:
            digest = wanted if ":" in wanted else self.image.manifest_digest
            kind = self.image.manifest["mediaType"]
            return web.Response(body=self.image.blob(digest).read_bytes(), content_type=kind)
        return web.Response(body=self.image.blob(wanted).read_bytes())

    def blobs_sent(self) -> list[str]:
        return [path.rpartition("/")[2] for path, _ in self.seen if "/blobs/" in path]


async def nothing(request: web.Request) -> None:
    return None


@asynccontextmanager
async def serving(image: OciImage, before: Handler | None = None) -> AsyncIterator[Server]:
    server = Server(image, before or nothing)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        port = site._server.sockets[0].getsockname()[1]
        server.host = f"127.0.0.1:{port}"
        yield server
    finally:
        await runner.cleanup()


@pytest.fixture
def store(isolation: Isolation, tmp_path: Path) -> ContentStore:
    return ContentStore(isolation.work_dir / tmp_path.name / "content")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_FIRST_S", 0.01)


def settings_for(
    tmp_path: Path, *, mirrors: tuple[str, ...] = (), host: str = "", timeout_s: int = 60
) -> Settings:
    return Settings(
        data_dir=tmp_path,
        run_dir=tmp_path,
        socket=tmp_path / "socket",
        log_file=tmp_path / "log",
        docker_config=tmp_path / "docker.json",
        registries={host: Registry(mirrors=mirrors)} if host else {},
        registry_timeout_s=timeout_s,
    )


async def pull(server: Server, store: ContentStore, settings: Settings) -> Image:
    with anyio.fail_after(60):
        reference = parse_reference(f"{server.host}/app:1")
        return await pull_image(reference, store, settings, "", lambda progress: None)


def layer_digest(image: OciImage) -> str:
    return str(image.manifest["layers"][0]["digest"])


def is_layer(request: web.Request, image: OciImage) -> bool:
    return request.path.endswith(layer_digest(image))


def nothing_visible(store: ContentStore) -> bool:
    return (
        store.layers() == []
        and list((store.root / "l").iterdir()) == []
        and list((store.root / "tmp").iterdir()) == []
    )


async def test_a_token_is_fetched_and_again_when_it_has_run_out(
    busybox_image: OciImage, store: ContentStore, settings: Settings
) -> None:
    tokens: list[str] = []

    async def guard(request: web.Request) -> web.Response | None:
        if request.path == "/token":
            pair = base64.b64decode(request.headers["Authorization"].removeprefix("Basic "))
            assert pair == b"alice:secret"
            assert request.query["scope"] == "repository:app:pull"
            tokens.append(f"t{len(tokens)}")
            return web.json_response({"token": tokens[-1], "expires_in": 60})
        if request.path == "/v2/":
            return None
        # The first token is good for the manifest only.
        good = request.headers.get("Authorization") == f"Bearer {tokens[-1] if tokens else ''}"
        if good and not ("/blobs/" in request.path and len(tokens) == 1):
            return None
        challenge = f'Bearer realm="http://{request.host}/token",service="tests"'
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    async with serving(busybox_image, guard) as server:
        auth = {"auths": {server.host: {"username": "alice", "password": "secret"}}}
        settings.docker_config.write_text(json.dumps(auth))
        image = await pull(server, store, settings)
    assert image.id == busybox_image.config_digest
    assert tokens == ["t0", "t1"]


async def test_a_token_server_that_refuses_is_a_denial(
    busybox_image: OciImage, store: ContentStore, settings: Settings
) -> None:
    async def guard(request: web.Request) -> web.Response:
        if request.path == "/token":
            return web.Response(status=403)
        challenge = f'Bearer realm="http://{request.host}/token"'
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    async with serving(busybox_image, guard) as server:
        with pytest.raises(Denied) as caught:
            await pull(server, store, settings)
    assert caught.value.code == "registry-denied"


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_busy_registry_is_asked_again_when_it_says(
    busybox_image: OciImage, store: ContentStore, settings: Settings, status: int
) -> None:
    asked: list[float] = []

    async def busy(request: web.Request) -> web.Response | None:
        if not is_layer(request, busybox_image):
            return None
        asked.append(anyio.current_time())
        if len(asked) == 1:
            return web.Response(status=status, headers={"Retry-After": "1"})
        return web.Response(status=status) if len(asked) == 2 else None

    async with serving(busybox_image, busy) as server:
        assert (await pull(server, store, settings)).id == busybox_image.config_digest
    assert len(asked) == 3
    assert asked[1] - asked[0] >= 1


async def test_a_registry_that_stays_busy_is_given_up_with_a_hint(
    busybox_image: OciImage, store: ContentStore, settings: Settings
) -> None:
    async def busy(request: web.Request) -> web.Response | None:
        return None if request.path == "/v2/" else web.Response(status=429)

    async with serving(busybox_image, busy) as server:
        with pytest.raises(Unavailable) as caught:
            await pull(server, store, settings)
        assert len(server.seen) == 1 + retry.TRIES
    assert caught.value.code == "registry-rate-limit"


@pytest.mark.parametrize("ranges", [True, False])
async def test_a_cut_connection_is_taken_up_where_it_broke(
    busybox_image: OciImage, store: ContentStore, settings: Settings, ranges: bool
) -> None:
    data = busybox_image.blob(layer_digest(busybox_image)).read_bytes()
    starts: list[int] = []

    async def cut(request: web.Request) -> web.StreamResponse | None:
        if not is_layer(request, busybox_image):
            return None
        start = request.http_range.start or 0
        starts.append(start)
        begin = start if ranges else 0
        response = web.StreamResponse(status=206 if begin else 200)
        response.content_length = len(data) - begin
        if begin:
            response.headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        await response.prepare(request)
        if len(starts) == 4:
            await response.write(data[begin:])
            return response
        await response.write(data[begin : start + 250_000])
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(busybox_image, cut) as server:
        assert (await pull(server, store, settings)).id == busybox_image.config_digest
    assert len(starts) == 4
    assert starts == sorted(set(starts))
    assert starts[-1] > 0


async def test_a_registry_that_never_gets_on_is_given_up(
    busybox_image: OciImage, store: ContentStore, settings: Settings
) -> None:
    async def cut(request: web.Request) -> web.StreamResponse | None:
        if not is_layer(request, busybox_image):
            return None
        response = web.StreamResponse()
        response.content_length = 1000
        await response.prepare(request)
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(busybox_image, cut) as server:
        with pytest.raises(Unavailable) as caught:
            await pull(server, store, settings)
    assert (caught.value.code, caught.value.about) == ("registry-unreachable", server.host)
    assert nothing_visible(store)


async def test_a_registry_that_never_answers_is_given_up(
    busybox_image: OciImage, store: ContentStore, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path, timeout_s=1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = Server(busybox_image, nothing, f"127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(Unavailable) as caught:
            await pull(server, store, settings)
    assert caught.value.code == "registry-timeout"
    assert caught.value.message == f"{server.host} did not answer within 1 s"
    assert nothing_visible(store)


@pytest.mark.parametrize("for_good", [False, True])
async def test_a_layer_that_stops_in_the_middle_is_taken_up_again_or_given_up(
    busybox_image: OciImage, store: ContentStore, tmp_path: Path, for_good: bool
) -> None:
    data = busybox_image.blob(layer_digest(busybox_image)).read_bytes()
    half = len(data) // 2
    starts: list[int] = []

    async def stop(request: web.Request) -> web.StreamResponse | None:
        if not is_layer(request, busybox_image):
            return None
        start = request.http_range.start or 0
        starts.append(start)
        response = web.StreamResponse(status=206 if start else 200)
        response.content_length = len(data) - start
        if start:
            response.headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        await response.prepare(request)
        if start and not for_good:
            await response.write(data[start:])
            return response
        await response.write(data[start:half])
        await anyio.sleep(30)
        return response

    settings = settings_for(tmp_path, timeout_s=1)
    async with serving(busybox_image, stop) as server:
        if not for_good:
            assert (await pull(server, store, settings)).id == busybox_image.config_digest
            assert starts == [0, half]
            return
        with pytest.raises(Unavailable) as caught:
            await pull(server, store, settings)
    assert caught.value.code == "registry-timeout"
    assert caught.value.message == f"{server.host} stopped in the middle, and does not go on"
    assert starts == [0, half, half]
    assert nothing_visible(store)


async def test_a_layer_that_comes_slowly_is_not_cut(
    busybox_image: OciImage, store: ContentStore, tmp_path: Path
) -> None:
    data = busybox_image.blob(layer_digest(busybox_image)).read_bytes()

    async def drip(request: web.Request) -> web.StreamResponse | None:
        if not is_layer(request, busybox_image):
            return None
        response = web.StreamResponse()
        response.content_length = len(data)
        await response.prepare(request)
        for start in range(0, len(data), len(data) // 5 + 1):
            await response.write(data[start : start + len(data) // 5 + 1])
            await anyio.sleep(0.5)
        return response

    settings = settings_for(tmp_path, timeout_s=1)
    async with serving(busybox_image, drip) as server:
        assert (await pull(server, store, settings)).id == busybox_image.config_digest
        assert server.blobs_sent().count(layer_digest(busybox_image)) == 1


async def test_a_push_to_a_registry_that_takes_nothing_is_given_up(
    busybox_image: OciImage,
    store: ContentStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Ten times as long is granted after a write; here it need not be.
    monkeypatch.setattr(transport, "AFTER_WRITE", 1)
    monkeypatch.setattr(upload, "AFTER_WRITE", 1)
    async with serving(busybox_image) as server:
        image = await pull(server, store, settings_for(tmp_path))

    async def deaf(request: web.Request) -> web.StreamResponse | None:
        if request.method == "HEAD":
            return web.Response(status=404)
        if request.method == "POST":
            return web.Response(status=202, headers={"Location": "/v2/app/blobs/uploads/1"})
        if request.method == "PATCH":
            await anyio.sleep(30)  # its body is never read
        return web.Response(status=404)

    settings = settings_for(tmp_path, timeout_s=1)
    async with serving(busybox_image, deaf) as server:
        reference = parse_reference(f"{server.host}/app:1")
        with anyio.fail_after(60), pytest.raises(Unavailable) as caught:
            await push_image(image, reference, store, settings, lambda progress: None)
    assert caught.value.code == "registry-timeout"


async def test_a_redirect_is_followed_without_our_credentials(
    busybox_image: OciImage, store: ContentStore, settings: Settings
) -> None:
    secret = "Basic " + base64.b64encode(b"alice:secret").decode()
    async with serving(busybox_image) as storage:

        async def guard(request: web.Request) -> web.Response | None:
            if request.headers.get("Authorization") != secret:
                headers = {"WWW-Authenticate": 'Basic realm="tests"'}
                return web.Response(status=401, headers=headers)
            if not is_layer(request, busybox_image):
                return None
            signed = f"http://{storage.host}{request.path}?sig=a%2Bb%3D"
            return web.Response(status=307, headers={"Location": signed})

        async with serving(busybox_image, guard) as server:
            auth = {"auths": {server.host: {"username": "alice", "password": "secret"}}}
            settings.docker_config.write_text(json.dumps(auth))
            await pull(server, store, settings)
    ((path, headers),) = storage.seen
    assert path.endswith("?sig=a%2Bb%3D")
    assert "Authorization" not in headers
    assert any(headers.get("Authorization") == secret for _, headers in server.seen)


def changed_byte(data: bytes) -> bytes:
    return data[:5000] + bytes([data[5000] ^ 1]) + data[5001:]


@pytest.mark.parametrize(
    "spoil",
    [changed_byte, lambda data: data[:-1], lambda data: data + b"x", lambda data: b""],
    ids=["changed", "shorter", "longer", "empty"],
)
async def test_a_layer_that_is_not_what_it_should_be_is_never_visible(
    busybox_image: OciImage,
    store: ContentStore,
    settings: Settings,
    spoil: Callable[[bytes], bytes],
) -> None:
    async def lie(request: web.Request) -> web.Response | None:
        if not is_layer(request, busybox_image):
            return None
        return web.Response(
            body=spoil(busybox_image.blob(layer_digest(busybox_image)).read_bytes())
        )

    async with serving(busybox_image, lie) as server:
        with pytest.raises(PystackError) as caught:
            await pull(server, store, settings)
    assert caught.value.code in ("digest-mismatch", "layer-damaged", "registry-unreachable")
    assert nothing_visible(store)
    assert not store.has_blob(layer_digest(busybox_image))


async def test_a_manifest_that_is_not_what_it_should_be_is_refused(
    busybox_image: OciImage, store: ContentStore, settings: Settings
) -> None:
    async def lie(request: web.Request) -> web.Response | None:
        if "/manifests/" not in request.path:
            return None
        body = busybox_image.blob(busybox_image.manifest_digest).read_bytes()
        return web.Response(body=body + b"\n")

    async with serving(busybox_image, lie) as server:
        reference = parse_reference(f"{server.host}/app@{busybox_image.manifest_digest}")
        with pytest.raises(Failed) as caught:
            await pull_image(reference, store, settings, "", lambda progress: None)
    assert caught.value.code == "digest-mismatch"


async def test_the_registry_makes_good_what_its_mirror_spoils(
    busybox_image: OciImage, store: ContentStore, tmp_path: Path
) -> None:
    async def lie(request: web.Request) -> web.Response | None:
        if not is_layer(request, busybox_image):
            return None
        data = busybox_image.blob(layer_digest(busybox_image)).read_bytes()
        return web.Response(body=changed_byte(data))

    async with serving(busybox_image, lie) as mirror, serving(busybox_image) as server:
        settings = settings_for(tmp_path, mirrors=(mirror.host,), host=server.host)
        assert (await pull(server, store, settings)).id == busybox_image.config_digest
        assert server.blobs_sent() == [layer_digest(busybox_image)]
        assert layer_digest(busybox_image) in mirror.blobs_sent()


async def test_a_layer_above_the_limit_is_refused(
    busybox_image: OciImage, store: ContentStore, tmp_path: Path
) -> None:
    settings = Settings(
        data_dir=tmp_path,
        run_dir=tmp_path,
        socket=tmp_path / "socket",
        log_file=tmp_path / "log",
        docker_config=tmp_path / "docker.json",
        max_layer_bytes=1 << 20,
    )
    async with serving(busybox_image) as server:
        with pytest.raises(Failed) as caught:
            await pull(server, store, settings)
    assert caught.value.code == "layer-too-large"
    assert nothing_visible(store)


async def test_two_pulls_at_once_download_each_layer_once(
    busybox_image: OciImage, store: ContentStore, settings: Settings
) -> None:
    found: list[Image] = []

    async with serving(busybox_image) as server:

        async def one() -> None:
            found.append(await pull(server, store, settings))

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(one)
    assert found == [found[0]] * 4
    assert server.blobs_sent().count(layer_digest(busybox_image)) == 1


async def test_a_cancelled_pull_leaves_nothing_and_the_next_one_works(
    busybox_image: OciImage, store: ContentStore, settings: Settings
) -> None:
    half_way = anyio.Event()
    stuck = True

    async def stall(request: web.Request) -> web.StreamResponse | None:
        if not (stuck and is_layer(request, busybox_image)):
            return None
        data = busybox_image.blob(layer_digest(busybox_image)).read_bytes()
        response = web.StreamResponse()
        response.content_length = len(data)
        await response.prepare(request)
        await response.write(data[: len(data) // 2])
        half_way.set()
        await anyio.sleep(30)
        return response

    async with serving(busybox_image, stall) as server:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pull, server, store, settings)
            with anyio.fail_after(20):
                await half_way.wait()
            tasks.cancel_scope.cancel()
        assert nothing_visible(store)
        stuck = False
        assert (await pull(server, store, settings)).id == busybox_image.config_digest


PULLER = """
import sys, anyio
from pathlib import Path
from orchestrator.images.content import ContentStore
from orchestrator.images.pull import pull_image
from orchestrator.images.reference import parse_reference
from orchestrator.settings import Settings
text, root = sys.argv[1], Path(sys.argv[2])
config = root / "none"
settings = Settings(
    data_dir=root, run_dir=root, socket=root, log_file=root, docker_config=config
)
anyio.run(pull_image, parse_reference(text), ContentStore(root), settings, "", lambda p: None)
"""


def start_puller(name: str, root: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", PULLER, name, str(root)]
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)})


@pytest.mark.parametrize("after", [0.0, 0.01, 0.3, 0.7, 0.99, 1.0])
async def test_a_pull_killed_at_any_byte_leaves_nothing_visible(
    busybox_image: OciImage,
    store: ContentStore,
    settings: Settings,
    after: float,
) -> None:
    reached = asyncio.Event()
    dying = True

    async def slow(request: web.Request) -> web.StreamResponse | None:
        if not (dying and is_layer(request, busybox_image)):
            return None
        data = busybox_image.blob(layer_digest(busybox_image)).read_bytes()
        response = web.StreamResponse()
        response.content_length = len(data)
        await response.prepare(request)
        await response.write(data[: int(len(data) * after)])
        reached.set()
        if after < 1:
            await anyio.sleep(30)
        return response

    async with serving(busybox_image, slow) as server:
        child = start_puller(f"{server.host}/app:1", store.root)
        try:
            with anyio.fail_after(30):
                await reached.wait()
        finally:
            child.send_signal(signal.SIGKILL)
            await anyio.to_thread.run_sync(child.wait)

        for digest in store.blobs():
            data = store.blob_path(digest).read_bytes()
            assert "sha256:" + hashlib.sha256(data).hexdigest() == digest
        if after < 1:
            assert list((store.root / "l").iterdir()) == []
        for record in store.layers():
            # Killed after the commit: then it is whole.
            directory = store.layer_dir(record.chain_id)
            assert (directory / "bin/busybox").stat().st_size > 1 << 20

        dying = False
        again = ContentStore(store.root)
        again.recover()
        assert list((store.root / "tmp").iterdir()) == []
        assert (await pull(server, again, settings)).id == busybox_image.config_digest
