"""Pulling from a real registry."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest
import zstandard

from orchestrator.errors import Denied, NotFound, Unavailable
from orchestrator.images.content import ContentStore
from orchestrator.images.pull import pull_image
from orchestrator.images.reference import parse_reference
from orchestrator.model.events import Progress
from orchestrator.model.image import Image
from orchestrator.settings import Registry as RegistrySettings
from orchestrator.settings import Settings
from tests.support.isolation import Isolation
from tests.support.oci import OciImage
from tests.support.registry import Registry

INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture
def store(isolation: Isolation, tmp_path: Path) -> ContentStore:
    return ContentStore(isolation.work_dir / tmp_path.name / "content")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)


def settings_for(
    tmp_path: Path, registries: Mapping[str, RegistrySettings] | None = None
) -> Settings:
    return Settings(
        data_dir=tmp_path,
        run_dir=tmp_path,
        socket=tmp_path / "socket",
        log_file=tmp_path / "log",
        docker_config=tmp_path / "docker.json",
        registries=registries or {},
    )


async def pull(
    text: str,
    store: ContentStore,
    settings: Settings,
    platform: str = "",
    told: list[Progress] | None = None,
) -> Image:
    with anyio.fail_after(60):
        heard = [] if told is None else told
        return await pull_image(parse_reference(text), store, settings, platform, heard.append)


async def test_an_image_arrives_whole(
    registry: Registry, busybox_image: OciImage, store: ContentStore, settings: Settings
) -> None:
    name = registry.push(busybox_image, "pull/whole", "1")
    told: list[Progress] = []
    image = await pull(name, store, settings, told=told)

    manifest = busybox_image.manifest
    assert image.id == busybox_image.config_digest
    assert image.manifest_digest == busybox_image.manifest_digest
    assert image.tags == (name,)
    assert image.digests == (f"{registry.host}/pull/whole@{busybox_image.manifest_digest}",)
    assert image.config.command == ("sh",)
    assert [layer.blob.digest for layer in image.layers] == [
        layer["digest"] for layer in manifest["layers"]
    ]
    (lower,) = store.lowers(image.layers)
    assert (lower / "bin/busybox").read_bytes() == Path("/bin/busybox").read_bytes()
    assert (lower / "bin/sh").readlink() == Path("busybox")
    assert (lower / "tmp").stat().st_mode & 0o7777 == 0o1777
    for digest in (image.id, image.manifest_digest, *(layer.blob.digest for layer in image.layers)):
        data = store.blob_path(digest).read_bytes()
        assert "sha256:" + hashlib.sha256(data).hexdigest() == digest
    assert list((store.root / "tmp").iterdir()) == []
    assert [told[0].step, told[-1].step, told[-1].done] == ["pulling", "pulled", True]


async def test_a_second_pull_fetches_no_layer(
    registry: Registry, busybox_image: OciImage, store: ContentStore, settings: Settings
) -> None:
    name = registry.push(busybox_image, "pull/twice")
    first = await pull(name, store, settings)
    told: list[Progress] = []
    assert await pull(name, store, settings, told=told) == first
    assert [p.step for p in told] == ["pulling", "found", "already here", "pulled"]


async def test_a_digest_pins_the_image(
    registry: Registry, busybox_image: OciImage, store: ContentStore, settings: Settings
) -> None:
    registry.push(busybox_image, "pull/pinned")
    name = f"{registry.host}/pull/pinned@{busybox_image.manifest_digest}"
    image = await pull(name, store, settings)
    assert (image.id, image.tags, image.digests) == (busybox_image.config_digest, (), (name,))


async def test_an_unknown_image_is_said_to_be_unknown(
    registry: Registry, store: ContentStore, settings: Settings
) -> None:
    name = f"{registry.host}/pull/nothing:1"
    with pytest.raises(NotFound) as caught:
        await pull(name, store, settings)
    assert (caught.value.code, caught.value.about) == ("no-such-image", name)
    assert caught.value.hint


async def test_a_password_opens_the_registry(
    auth_registry: Registry,
    busybox_image: OciImage,
    store: ContentStore,
    settings: Settings,
) -> None:
    name = auth_registry.push(busybox_image, "pull/private")
    with pytest.raises(Denied) as caught:
        await pull(name, store, settings)
    assert caught.value.code == "registry-denied"
    assert f"pystack login {auth_registry.host}" in caught.value.hint
    auth_registry.docker_config(settings.docker_config)
    assert (await pull(name, store, settings)).id == busybox_image.config_digest


async def test_a_wrong_password_is_denied(
    auth_registry: Registry,
    busybox_image: OciImage,
    store: ContentStore,
    settings: Settings,
) -> None:
    name = auth_registry.push(busybox_image, "pull/private")
    wrong = {"auths": {auth_registry.host: {"username": "alice", "password": "wrong"}}}
    settings.docker_config.write_text(json.dumps(wrong))
    with pytest.raises(Denied) as caught:
        await pull(name, store, settings)
    assert caught.value.message == f"{auth_registry.host} refused the credentials of alice"


async def test_a_registry_that_nobody_runs_is_unreachable_and_named(
    store: ContentStore, settings: Settings
) -> None:
    with pytest.raises(Unavailable) as caught:
        await pull("127.0.0.1:9/app", store, settings)
    assert (caught.value.code, caught.value.about) == ("registry-unreachable", "127.0.0.1:9")
    assert 'registries."127.0.0.1:9"' in caught.value.hint


async def test_a_mirror_serves_docker_hubs_names(
    hub: Registry, busybox_image: OciImage, store: ContentStore, tmp_path: Path
) -> None:
    settings = settings_for(
        tmp_path, {"docker.io": RegistrySettings(mirrors=("127.0.0.1:9", hub.host))}
    )
    image = await pull("busybox", store, settings)
    assert (image.id, image.tags) == (
        busybox_image.config_digest,
        ("docker.io/library/busybox:latest",),
    )


async def test_where_the_registry_is_out_of_reach_its_mirrors_answer_is_told_too(
    hub: Registry, store: ContentStore, tmp_path: Path
) -> None:
    name = "127.0.0.1:9/pull/nowhere:1"
    mirrored = RegistrySettings(mirrors=(hub.host,))
    with pytest.raises(Unavailable) as caught:
        await pull(name, store, settings_for(tmp_path, {"127.0.0.1:9": mirrored}))
    assert caught.value.about == "127.0.0.1:9"
    assert f"{hub.host} has no {name}" in caught.value.message


async def test_the_registry_serves_what_its_mirror_lacks(
    registry: Registry,
    auth_registry: Registry,
    busybox_image: OciImage,
    store: ContentStore,
    tmp_path: Path,
) -> None:
    name = registry.push(busybox_image, "pull/not-mirrored")
    mirrored = RegistrySettings(mirrors=(auth_registry.host,))
    settings = settings_for(tmp_path, {registry.host: mirrored})
    assert (await pull(name, store, settings)).id == busybox_image.config_digest


@pytest.mark.parametrize("kind", [INDEX, DOCKER_LIST])
async def test_an_index_gives_the_platform_asked_for(
    registry: Registry,
    busybox_image: OciImage,
    isolation: Isolation,
    store: ContentStore,
    settings: Settings,
    kind: str,
) -> None:
    repository = f"pull/index-{kind[20:26].strip('.')}"
    foreign = variant(busybox_image, isolation.work_dir / f"foreign-{len(kind)}", "s390x")
    for image, tag in ((busybox_image, "native"), (foreign, "foreign")):
        registry.push(image, repository, tag)
    machine = json.loads(busybox_image.blob(busybox_image.config_digest).read_text())
    entries = [
        entry(foreign, {"os": "linux", "architecture": "s390x"}),
        entry(busybox_image, {"os": "linux", "architecture": machine["architecture"]}),
    ]
    body = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).encode()
    registry._call("PUT", f"/v2/{repository}/manifests/both", body, kind)
    name = f"{registry.host}/{repository}:both"

    native = await pull(name, store, settings)
    assert native.id == busybox_image.config_digest
    assert native.manifest_digest == busybox_image.manifest_digest
    index_digest = "sha256:" + hashlib.sha256(body).hexdigest()
    assert native.digests == (f"{registry.host}/{repository}@{index_digest}",)
    other = await pull(name, store, settings, "linux/s390x")
    assert (other.id, other.config.architecture) == (foreign.config_digest, "s390x")
    with pytest.raises(NotFound) as caught:
        await pull(name, store, settings, "linux/riscv64")
    assert caught.value.code == "no-such-platform"
    with pytest.raises(NotFound) as caught:
        await pull(f"{registry.host}/{repository}:foreign", store, settings, "linux/riscv64")
    assert caught.value.code == "no-such-platform"


async def test_images_in_dockers_older_format_are_pulled(
    registry: Registry, busybox_image: OciImage, store: ContentStore, settings: Settings
) -> None:
    source, target = busybox_image.directory, f"docker://{registry.host}/pull/schema2:1"
    copy_with_skopeo(f"oci:{source}", target, "--format=v2s2")
    image = await pull(f"{registry.host}/pull/schema2:1", store, settings)
    stored = json.loads(store.read_blob(image.manifest_digest))
    assert stored["mediaType"] == DOCKER_MANIFEST
    assert image.layers[0].diff_id == diff_id_of(busybox_image)


@pytest.mark.parametrize("compression", ["", "+zstd"])
async def test_layers_come_in_every_compression(
    registry: Registry,
    busybox_image: OciImage,
    isolation: Isolation,
    store: ContentStore,
    settings: Settings,
    tmp_path: Path,
    compression: str,
) -> None:
    again = repacked(busybox_image, isolation.work_dir / tmp_path.name / "again", compression)
    name = registry.push(again, f"pull/packed{compression.replace('+', '-')}")
    image = await pull(name, store, settings)
    assert image.layers[0].blob.media_type == "application/vnd.oci.image.layer.v1.tar" + compression
    assert image.layers[0].diff_id == diff_id_of(busybox_image)
    assert image.id == busybox_image.config_digest


async def test_the_loop_stays_free_while_layers_are_unpacked(
    debian_hub: Registry, store: ContentStore, settings: Settings
) -> None:
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = anyio.current_time()
            await anyio.sleep(0.001)
            longest = max(longest, anyio.current_time() - before)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        await pull(f"{debian_hub.host}/library/debian:bookworm-slim", store, settings)
        tasks.cancel_scope.cancel()
    # The aim is 50 ms; the rest is what a busy test machine may add.
    assert longest < 0.25
    assert threading.active_count() < 60


def variant(image: OciImage, directory: Path, architecture: str) -> OciImage:
    """The same layers as an image for another architecture."""
    if not directory.exists():
        subprocess.run(["cp", "-r", image.directory, directory], check=True)
    copy = OciImage(directory)
    config = json.loads(image.blob(image.config_digest).read_text())
    described = put(copy, json.dumps(config | {"architecture": architecture}).encode())
    manifest = image.manifest
    manifest["config"] = manifest["config"] | described
    index = {"schemaVersion": 2, "manifests": [put(copy, json.dumps(manifest).encode())]}
    (directory / "index.json").write_text(json.dumps(index))
    return copy


def repacked(image: OciImage, directory: Path, compression: str) -> OciImage:
    """The same image with its layer plain or in zstd."""
    subprocess.run(["cp", "-r", image.directory, directory], check=True)
    copy = OciImage(directory)
    manifest = image.manifest
    data = gzip.decompress(image.blob(manifest["layers"][0]["digest"]).read_bytes())
    packed = zstandard.compress(data) if compression else data
    kind = "application/vnd.oci.image.layer.v1.tar" + compression
    manifest["layers"] = [{"mediaType": kind, **put(copy, packed)}]
    index = {"schemaVersion": 2, "manifests": [put(copy, json.dumps(manifest).encode())]}
    (directory / "index.json").write_text(json.dumps(index))
    return copy


def put(image: OciImage, data: bytes) -> dict[str, object]:
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    image.blob(digest).write_bytes(data)
    return {"digest": digest, "size": len(data)}


def entry(image: OciImage, platform: dict[str, str]) -> dict[str, object]:
    return {
        "mediaType": image.manifest["mediaType"],
        "digest": image.manifest_digest,
        "size": image.blob(image.manifest_digest).stat().st_size,
        "platform": platform,
    }


def diff_id_of(image: OciImage) -> str:
    return str(json.loads(image.blob(image.config_digest).read_text())["rootfs"]["diff_ids"][0])


def copy_with_skopeo(source: str, target: str, *extra: str) -> None:
    command = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", *extra]
    done = subprocess.run(
        [*command, source, target], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
