"""What a registry client must cope with besides blobs: certificates, proxies, digests of other
algorithms, logins, pages of tags, searches."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import anyio
import pytest
from aiohttp import web

from orchestrator.errors import Denied, Failed, NotFound, PystackError, Unavailable
from orchestrator.images import retry, search
from orchestrator.images.connect import open_registry
from orchestrator.images.content import ContentStore
from orchestrator.images.endpoints import Endpoint
from orchestrator.images.login import check_login
from orchestrator.images.pull import pull_image
from orchestrator.images.reference import parse_reference
from orchestrator.images.search import SearchResult, search_images
from orchestrator.model.image import Image
from orchestrator.settings import Registry as RegistrySettings
from orchestrator.settings import Settings
from orchestrator.wire.credentials import Credentials
from tests.integration.test_images_tls import make_certificate, tls_registry
from tests.support.isolation import Isolation
from tests.support.madeimages import settings_at
from tests.support.memoryregistry import MemoryRegistry, serving
from tests.support.oci import OciImage
from tests.support.registry import Registry


@pytest.fixture
def store(isolation: Isolation, tmp_path: Path) -> ContentStore:
    return ContentStore(isolation.work_dir / tmp_path.name / "content")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_at(tmp_path)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_FIRST_S", 0.01)


async def pull(
    text: str, store: ContentStore, settings: Settings, credentials: Credentials | None = None
) -> Image:
    with anyio.fail_after(60):
        reference = parse_reference(text)
        return await pull_image(
            reference, store, settings, "", lambda p: None, credentials=credentials
        )


def fill(server: MemoryRegistry, image: OciImage, name: str, algorithm: str = "sha256") -> str:
    """Puts the image into the server, every digest of this algorithm; gives its manifest's."""

    def digest(data: bytes) -> str:
        return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"

    manifest = image.manifest
    held = server.blobs.setdefault(name, {})
    for descriptor in [manifest["config"], *manifest["layers"]]:
        data = image.blob(descriptor["digest"]).read_bytes()
        descriptor["digest"] = digest(data)
        held[descriptor["digest"]] = data
    raw = json.dumps(manifest).encode()
    manifests = server.manifests.setdefault(name, {})
    manifests["1"] = manifests[digest(raw)] = (raw, manifest["mediaType"])
    return digest(raw)


# -- certificates


async def test_certificates_are_found_by_the_registrys_name(
    busybox_image: OciImage, store: ContentStore, settings: Settings, tmp_path: Path
) -> None:
    """A registry that wants to see a certificate of ours, and has one of its own making."""
    key, certificate = make_certificate(tmp_path)
    with tls_registry(tmp_path, key, certificate, client_authority=certificate) as host:
        with pytest.raises(PystackError):
            await pull(f"{host}/app:1", store, settings)
        place = settings.certs_dir / host
        place.mkdir(parents=True)
        (place / "ca.crt").write_bytes(certificate.read_bytes())
        with pytest.raises(Unavailable):
            await pull(f"{host}/app:1", store, settings)
        (place / "client.cert").write_bytes(certificate.read_bytes())
        (place / "client.key").write_bytes(key.read_bytes())
        with pytest.raises(NotFound):  # it lets us in now, and has no such image
            await pull(f"{host}/app:1", store, settings)
        (place / "client.key").unlink()
        with pytest.raises(Failed) as caught:
            await pull(f"{host}/app:1", store, settings)
        assert (caught.value.code, caught.value.about) == (
            "ca-file-invalid",
            str(place / "client.cert"),
        )


# -- proxies


@dataclass
class Proxy:
    """A proxy for plain HTTP; `seen` is what it was asked for, and by whom."""

    target: str
    url: str = ""
    seen: list[tuple[str, str]] = field(default_factory=list)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append(
            (f"{request.method} {request.raw_path}", request.headers.get("Proxy-Authorization", ""))
        )
        if request.method == "CONNECT":
            return web.Response(status=502)
        path = re.sub(r"^http://[^/]+", "", request.raw_path)
        headers = {k: v for k, v in request.headers.items() if not k.startswith("Proxy-")}
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                request.method, f"http://{self.target}{path}", headers=headers
            ) as found,
        ):
            data = await found.read()
            kept = {k: v for k, v in found.headers.items() if k != "Transfer-Encoding"}
            return web.Response(status=found.status, headers=kept, body=data)


@asynccontextmanager
async def proxying(target: str) -> AsyncIterator[Proxy]:
    proxy = Proxy(target)
    runner = web.ServerRunner(web.Server(proxy.answer))
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        proxy.url = f"http://user:pass@127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
        yield proxy
    finally:
        await runner.cleanup()


async def test_a_proxy_is_gone_through_but_not_where_it_is_excepted(
    registry: Registry,
    busybox_image: OciImage,
    store: ContentStore,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry.push(busybox_image, "client/proxied", "1")
    settings = replace(settings, registries={"registry.test:80": RegistrySettings(insecure=True)})
    async with proxying(registry.host) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "example.test")
        image = await pull("registry.test:80/client/proxied:1", store, settings)
        assert image.id == busybox_image.config_digest
        asked = [line for line, _ in proxy.seen]
        assert asked[0] == "CONNECT registry.test:80", "TLS is tried first"
        assert any(line.startswith("GET http://registry.test/v2/client/proxied/") for line in asked)
        secret = "Basic " + base64.b64encode(b"user:pass").decode()
        assert {by for _, by in proxy.seen} == {secret}

        proxy.seen.clear()
        await pull(f"{registry.host}/client/proxied:1", store, settings)
        assert proxy.seen == [], "this machine is never reached through a proxy"
        monkeypatch.setenv("NO_PROXY", ".test")
        with pytest.raises(Unavailable):
            await pull("registry.test:80/client/proxied:1", store, settings)
        assert proxy.seen == []


# -- digests and sizes


async def test_digests_may_be_sha512(
    busybox_image: OciImage, store: ContentStore, settings: Settings
) -> None:
    async with serving() as server:
        digest = fill(server, busybox_image, "app", "sha512")
        image = await pull(f"{server.host}/app@{digest}", store, settings)
        assert image.id == busybox_image.config_digest
        assert image.digests == (f"{server.host}/app@{digest}",)
        (layer,) = image.layers
        assert layer.blob.digest.startswith("sha512:")
        assert store.has_blob(layer.blob.digest)
        assert [blob for blob in store.blobs() if blob.startswith("sha512:")] == [layer.blob.digest]


@pytest.mark.parametrize("what", ["config", "layers", "manifest"])
async def test_what_is_not_its_sha512_is_refused(
    busybox_image: OciImage, store: ContentStore, settings: Settings, what: str
) -> None:
    async with serving() as server:
        digest = fill(server, busybox_image, "app", "sha512")
        if what == "manifest":
            raw, kind = server.manifests["app"][digest]
            server.manifests["app"][digest] = (raw + b" ", kind)
        else:
            described = json.loads(server.manifests["app"]["1"][0])[what]
            blob = (described if what == "config" else described[0])["digest"]
            data = server.blobs["app"][blob]
            server.blobs["app"][blob] = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
        with pytest.raises(Failed) as caught:
            await pull(f"{server.host}/app@{digest}", store, settings)
    assert caught.value.code in ("digest-mismatch", "layer-damaged")
    assert store.layers() == []


async def test_sizes_have_bounds(
    busybox_image: OciImage, store: ContentStore, settings: Settings
) -> None:
    async with serving() as server:
        fill(server, busybox_image, "app")
        with pytest.raises(Failed) as caught:
            await pull(f"{server.host}/app:1", store, replace(settings, max_manifest_bytes=100))
        assert caught.value.code == "image-manifest-invalid"
        with pytest.raises(Failed) as caught:
            await pull(f"{server.host}/app:1", store, replace(settings, max_layer_bytes=1000))
        assert caught.value.code == "layer-too-large"
        assert not any("GET" in line and "layers" in line for line in server.asked)


async def test_an_image_in_the_withdrawn_format_is_refused_by_name(
    store: ContentStore, settings: Settings
) -> None:
    kind = "application/vnd.docker.distribution.manifest.v1+prettyjws"
    async with serving() as server:
        raw = json.dumps({"schemaVersion": 1, "fsLayers": [], "history": []}).encode()
        server.manifests["old"] = {"1": (raw, kind)}
        with pytest.raises(Failed) as caught:
            await pull(f"{server.host}/old:1", store, settings)
    assert caught.value.code == "image-schema-1"


async def test_what_is_no_image_is_refused_by_its_kind(
    busybox_image: OciImage, store: ContentStore, settings: Settings
) -> None:
    async with serving() as server:
        fill(server, busybox_image, "chart")
        raw, kind = server.manifests["chart"]["1"]
        manifest = json.loads(raw)
        manifest["config"]["mediaType"] = "application/vnd.cncf.helm.config.v1+json"
        server.manifests["chart"]["1"] = (json.dumps(manifest).encode(), kind)
        with pytest.raises(Failed) as caught:
            await pull(f"{server.host}/chart:1", store, settings)
    assert caught.value.code == "not-an-image"
    assert "helm" in caught.value.message


# -- who we are


async def test_a_login_may_be_traded_for_a_token_that_pulls_later(
    busybox_image: OciImage, store: ContentStore, settings: Settings
) -> None:
    secret = "Basic " + base64.b64encode(b"alice:secret").decode()

    async def guard(request: web.Request) -> web.Response | None:
        if request.path == "/token" and request.method == "POST":
            form = await request.post()
            assert (form["grant_type"], form["refresh_token"]) == ("refresh_token", "keep-me")
            assert form["scope"] == "repository:app:pull"
            return web.json_response({"access_token": "good"})
        if request.path == "/token":
            if request.headers.get("Authorization") != secret:
                return web.Response(status=401)
            assert request.query["offline_token"] == "true"
            return web.json_response({"token": "good", "refresh_token": "keep-me"})
        if request.headers.get("Authorization") == "Bearer good":
            return None
        challenge = f'Bearer realm="http://{request.host}/token",service="tests"'
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    async with serving(guard) as server:
        fill(server, busybox_image, "app")
        with pytest.raises(Denied):
            await check_login(Credentials("alice", "wrong"), server.host, settings)
        token = await check_login(Credentials("alice", "secret"), server.host, settings)
        assert token == "keep-me"
        with pytest.raises(Denied):
            await pull(f"{server.host}/app:1", store, settings)
        known = Credentials(identity_token=token)
        image = await pull(f"{server.host}/app:1", store, settings, known)
    assert image.id == busybox_image.config_digest


async def test_what_is_no_registry_is_not_logged_in_to(settings: Settings) -> None:
    async def other(_request: web.Request) -> web.Response:
        return web.Response(status=404, text="a web page")

    async with serving(other) as server:
        with pytest.raises(Unavailable) as caught:
            await check_login(Credentials("alice", "secret"), server.host, settings)
    assert "seems no registry" in caught.value.message


# -- tags and searches


async def test_tags_come_in_pages(settings: Settings) -> None:
    async def paged(request: web.Request) -> web.Response | None:
        if not request.path.endswith("/tags/list"):
            return None
        page = int(request.query.get("page", "0"))
        headers = {}
        if page < 2:
            headers["Link"] = f'</v2/app/tags/list?page={page + 1}>; rel="next"'
        return web.json_response({"name": "app", "tags": [f"t{page}", "t0"]}, headers=headers)

    async with serving(paged) as server:
        reference = parse_reference(f"{server.host}/app")
        async with open_registry(reference, settings) as registry:
            assert await registry.tags() == ["t0", "t1", "t2"]


async def test_a_registry_with_a_search_is_searched(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def find(request: web.Request) -> web.Response | None:
        if request.path != "/v1/search":
            return None
        assert dict(request.query) == {"q": "redis", "n": "2"}
        entry = {"name": "redis", "description": "fast", "star_count": 7, "is_official": True}
        return web.json_response({"results": [entry, {"name": "b/redis"}, {"name": "c/redis"}]})

    async with serving(find) as server:
        found = await search_images(f"{server.host}/redis", 2, settings)
        assert found == [
            SearchResult(name="redis", description="fast", stars=7, official=True),
            SearchResult(name="b/redis"),
        ]
        # Without a host it is Docker Hub that is asked.
        monkeypatch.setattr(search, "_HUB_SEARCH", server.host)
        monkeypatch.setattr(search, "server", lambda domain, registries: hub_at(server.host))
        assert await search_images("redis", 2, settings) == found


def hub_at(host: str) -> Endpoint:
    return Endpoint(host=host, repository="", account="docker.io", schemes=("http",))


async def test_a_registry_without_a_search_says_so(registry: Registry, settings: Settings) -> None:
    with pytest.raises(NotFound) as caught:
        await search_images(f"{registry.host}/redis", 2, settings)
    assert caught.value.code == "registry-no-search"
