"""Pushing to a real registry, and to one that fails in the middle."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import urllib.request
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from aiohttp import web

from orchestrator.errors import Denied, Failed, Unavailable
from orchestrator.images import retry
from orchestrator.images.content import ContentStore
from orchestrator.images.pull import pull_image
from orchestrator.images.push import Pushed, Sources, push_image
from orchestrator.images.reference import parse_reference
from orchestrator.model.events import Progress
from orchestrator.model.image import Image, Layer
from orchestrator.settings import Settings
from tests.support.isolation import Isolation
from tests.support.madeimages import made, settings_at
from tests.support.memoryregistry import serving
from tests.support.oci import OciImage
from tests.support.registry import Registry

OCI = "application/vnd.oci.image.manifest.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture
def store(isolation: Isolation, tmp_path: Path) -> ContentStore:
    return ContentStore(isolation.work_dir / tmp_path.name / "content")


@pytest.fixture
def other_store(isolation: Isolation, tmp_path: Path) -> ContentStore:
    return ContentStore(isolation.work_dir / tmp_path.name / "other")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_at(tmp_path)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_FIRST_S", 0.01)


async def push(
    image: Image,
    text: str,
    store: ContentStore,
    settings: Settings,
    *,
    told: list[Progress] | None = None,
    sources: Sources | None = None,
) -> Pushed:
    heard = [] if told is None else told
    with anyio.fail_after(60):
        return await push_image(
            image, parse_reference(text), store, settings, heard.append, sources=sources
        )


async def pull(text: str, store: ContentStore, settings: Settings) -> Image:
    with anyio.fail_after(60):
        return await pull_image(parse_reference(text), store, settings, "", lambda p: None)


def manifest_at(registry: Registry, name: str, tag: str) -> tuple[str, bytes]:
    """A manifest's media type and bytes, as the registry gives them."""
    request = urllib.request.Request(f"http://{registry.host}/v2/{name}/manifests/{tag}")
    request.add_header("Accept", f"{OCI}, {DOCKER}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        return str(answer.headers["Content-Type"]), answer.read()


async def test_an_image_that_was_built_here_can_be_pulled_by_others(
    registry: Registry, store: ContentStore, other_store: ContentStore, settings: Settings
) -> None:
    image = await made(store, 3 << 20, 100, 0)
    name = f"{registry.host}/push/built:1"
    pushed = await push(image, name, store, settings)
    kind, raw = manifest_at(registry, "push/built", "1")
    assert (kind, "sha256:" + hashlib.sha256(raw).hexdigest()) == (OCI, pushed.digest)
    assert pushed.size_bytes == len(raw)
    assert pushed.image.digests == (f"{registry.host}/push/built@{pushed.digest}",)

    pulled = await pull(name, other_store, settings)
    assert (pulled.id, pulled.config) == (image.id, image.config)
    assert [layer.diff_id for layer in pulled.layers] == [layer.diff_id for layer in image.layers]
    for ours, theirs in zip(image.layers, pulled.layers, strict=True):
        kept, came = store.layer_dir(ours.chain_id), other_store.layer_dir(theirs.chain_id)
        for file in kept.iterdir():
            assert (came / file.name).is_symlink() == file.is_symlink()
            assert (came / file.name).read_bytes() == file.read_bytes() or file.is_symlink()


async def test_a_second_push_sends_nothing_and_comes_to_the_same_digest(
    store: ContentStore, settings: Settings
) -> None:
    async with serving() as server:
        image = await made(store, 100_000, 200_000)
        first = await push(image, f"{server.host}/app:1", store, settings)
        server.asked.clear()
        told: list[Progress] = []
        # As the record before the push has it: what was compressed is found again.
        second = await push(image, f"{server.host}/app:2", store, settings, told=told)
    assert second.digest == first.digest
    assert {line.split()[0] for line in server.asked if line != "GET /v2/"} == {"HEAD", "PUT"}
    assert [line for line in server.asked if line.startswith("PUT")] == ["PUT /v2/app/manifests/2"]
    assert [p.step for p in told if p.total] == ["preparing"] * 2 + ["already there"] * 2


async def test_an_image_that_was_pulled_keeps_its_digest(
    registry: Registry, busybox_image: OciImage, store: ContentStore, settings: Settings
) -> None:
    image = await pull(registry.push(busybox_image, "push/from", "1"), store, settings)
    pushed = await push(image, f"{registry.host}/push/to:2", store, settings)
    assert pushed.digest == busybox_image.manifest_digest
    assert manifest_at(registry, "push/to", "2")[1] == (
        busybox_image.blob(busybox_image.manifest_digest).read_bytes()
    )


async def test_dockers_older_format_stays_what_it_is(
    registry: Registry,
    busybox_image: OciImage,
    store: ContentStore,
    other_store: ContentStore,
    settings: Settings,
) -> None:
    manifest = busybox_image.manifest
    manifest["mediaType"] = DOCKER
    manifest["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json"
    for layer in manifest["layers"]:
        layer["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    registry.push(busybox_image, "push/schema2", "oci")
    body = json.dumps(manifest).encode()
    registry._call("PUT", "/v2/push/schema2/manifests/2", body, DOCKER)
    image = await pull(f"{registry.host}/push/schema2:2", store, settings)
    await push(image, f"{registry.host}/push/schema2:again", store, settings)
    assert manifest_at(registry, "push/schema2", "again") == (DOCKER, body)

    # Where its own manifest cannot be used, the new one is of the same format.
    pushed = await push(
        replace(image, layers=(*image.layers[:-1], await _repacked(store, image))),
        f"{registry.host}/push/schema2:new",
        store,
        settings,
    )
    kind, raw = manifest_at(registry, "push/schema2", "new")
    assert (kind, json.loads(raw)["layers"][0]["mediaType"]) == (
        DOCKER,
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    )
    assert (await pull(f"{registry.host}/push/schema2:new", other_store, settings)).id == image.id
    assert pushed.digest != busybox_image.manifest_digest


async def _repacked(store: ContentStore, image: Image) -> Layer:
    """The image's last layer, compressed otherwise than it came."""
    layer = image.layers[-1]
    plain = gzip.decompress(store.blob_path(layer.blob.digest).read_bytes())
    digest = store.write_blob(gzip.compress(plain, 9, mtime=0))
    size = store.blob_path(digest).stat().st_size
    return replace(layer, blob=replace(layer.blob, digest=digest, size_bytes=size))


async def test_a_layer_that_another_repository_has_is_mounted(
    registry: Registry, store: ContentStore, settings: Settings
) -> None:
    image = await made(store, 500_000)
    first = await push(image, f"{registry.host}/push/source:1", store, settings)
    (layer,) = first.image.layers
    told: list[Progress] = []
    sources = {layer.blob.digest: ("push/source",)}
    target = f"{registry.host}/push/target:1"
    pushed = await push(first.image, target, store, settings, told=told, sources=sources)
    assert pushed.digest == first.digest
    assert [p.step for p in told if p.total][-1] == "mounted from push/source"
    log = registry.log.read_text()
    assert f"/v2/push/target/blobs/uploads/?mount={layer.blob.digest}".replace(":", "%3A") in log


async def test_where_mounting_is_refused_the_layer_is_sent(
    store: ContentStore, settings: Settings
) -> None:
    async def refuse(request: web.Request) -> web.Response | None:
        return web.Response(status=403) if "mount" in request.query else None

    async with serving(refuse) as server:
        image = await made(store, 500_000)
        first = await push(image, f"{server.host}/a:1", store, settings)
        sources = {first.image.layers[0].blob.digest: ("a",)}
        await push(first.image, f"{server.host}/b:1", store, settings, sources=sources)
        assert server.blobs["b"] == server.blobs["a"]


@pytest.mark.parametrize("at", [1, 700_000, 4_000_000])
async def test_an_upload_that_breaks_goes_on_where_it_was(
    store: ContentStore, settings: Settings, at: int
) -> None:
    async with serving() as server:
        image = await made(store, 4 << 20)
        server.cut_after = at
        await push(image, f"{server.host}/app:1", store, settings)
        (size,) = (len(blob) for blob in server.blobs["app"].values() if len(blob) > 1 << 20)
        config = len(store.read_blob(image.id))
    assert server.cut_after == 0
    # What had arrived was not sent again.
    assert server.received == size + config


async def test_an_upload_that_cannot_go_on_begins_again(
    store: ContentStore, settings: Settings
) -> None:
    async def forget(request: web.Request) -> web.Response | None:
        lost = request.method == "GET" and "/uploads/" in request.path
        return web.Response(status=404) if lost else None

    async with serving(forget) as server:
        image = await made(store, 2 << 20)
        server.cut_after = 1 << 20
        pushed = await push(image, f"{server.host}/app:1", store, settings)
        assert pushed.image.layers[0].blob.digest in server.blobs["app"]
    assert len(server.uploads) == 3


async def test_a_registry_that_never_takes_an_upload_is_given_up(
    store: ContentStore, settings: Settings
) -> None:
    async def cut(request: web.Request) -> web.Response | None:
        if request.method != "PATCH":
            return None
        assert request.transport is not None
        request.transport.abort()
        return web.Response(status=500)

    async with serving(cut) as server:
        with pytest.raises(Unavailable) as caught:
            await push(await made(store, 1 << 20), f"{server.host}/app:1", store, settings)
    assert caught.value.code == "registry-unreachable"


async def test_a_busy_registry_is_pushed_to_when_it_says(
    store: ContentStore, settings: Settings
) -> None:
    seen: set[str] = set()

    async def busy(request: web.Request) -> web.Response | None:
        kind = f"{request.method} {'uploads' in request.path} {'manifests' in request.path}"
        if kind in seen:
            return None
        seen.add(kind)
        return web.Response(status=429, headers={"Retry-After": "0"})

    async with serving(busy) as server:
        pushed = await push(await made(store, 1 << 20), f"{server.host}/app:1", store, settings)
        assert server.manifests["app"]["1"][0] == store.read_blob(pushed.digest)
    assert seen >= {
        "POST True False",
        "PATCH True False",
        "PUT True False",
        "PUT False True",
    }


async def test_large_blobs_can_be_sent_in_chunks(
    registry: Registry, store: ContentStore, other_store: ContentStore, settings: Settings
) -> None:
    chunked = replace(settings, upload_chunk_bytes=300_000)
    image = await made(store, 1 << 20)
    name = f"{registry.host}/push/chunks:1"
    await push(image, name, store, chunked)
    assert (await pull(name, other_store, settings)).id == image.id
    async with serving() as server:
        await push(image, f"{server.host}/app:1", store, chunked)
        assert sum(line.startswith("PATCH") for line in server.asked) == 5


async def test_a_push_needs_who_may(
    auth_registry: Registry, store: ContentStore, settings: Settings
) -> None:
    image = await made(store, 1000)
    name = f"{auth_registry.host}/push/private:1"
    with pytest.raises(Denied) as caught:
        await push(image, name, store, settings)
    assert f"pystack login {auth_registry.host}" in caught.value.hint
    auth_registry.docker_config(settings.docker_config)
    assert (await push(image, name, store, settings)).digest


async def test_a_token_is_asked_for_writing_and_kept_over_mounts(
    store: ContentStore, settings: Settings
) -> None:
    scopes: list[list[str]] = []

    async def guard(request: web.Request) -> web.Response | None:
        if request.path == "/token":
            scopes.append(request.query.getall("scope"))
            granted = base64.urlsafe_b64encode(" ".join(scopes[-1]).encode()).decode()
            return web.json_response({"token": granted})
        if request.path == "/v2/":
            return None
        name = request.path.split("/")[2]
        needed = {f"repository:{name}:pull,push"}
        if source := request.query.get("from"):
            needed.add(f"repository:{source}:pull")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if needed <= set(base64.urlsafe_b64decode(token).decode().split()):
            return None
        challenge = f'Bearer realm="http://{request.host}/token",scope="{" ".join(sorted(needed))}"'
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    async with serving(guard) as server:
        image = (
            await push(await made(store, 9, 8, 7), f"{server.host}/a:1", store, settings)
        ).image
        await push(image, f"{server.host}/b:1", store, settings)
        a, b, c = (layer.blob.digest for layer in image.layers)
        sources = {a: ("a",), b: ("b",), c: ("a",)}
        scopes.clear()
        await push(image, f"{server.host}/c:1", store, settings, sources=sources)
        assert set(server.blobs["c"]) == {a, b, c, image.id}
        assert not any("PATCH /v2/c/" in line for line in server.asked[-40:] if a in line)
    assert set(scopes[-1]) == {
        "repository:a:pull",
        "repository:b:pull",
        "repository:c:pull,push",
    }


async def test_a_layer_whose_directory_was_changed_is_not_pushed(
    store: ContentStore, settings: Settings
) -> None:
    async with serving() as server:
        image = await made(store, 1000)
        (store.layer_dir(image.layers[0].chain_id) / "file0").write_bytes(b"changed")
        with pytest.raises(Failed) as caught:
            await push(image, f"{server.host}/app:1", store, settings)
        assert caught.value.code == "layer-changed"
        assert server.manifests == {}
    assert list((store.root / "tmp").iterdir()) == []
