"""Pulling and pushing over lines that break, from and to a real registry."""

from __future__ import annotations

import os
import random
import signal
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from orchestrator.images import retry
from orchestrator.images.content import ContentStore
from orchestrator.images.pull import pull_image
from orchestrator.images.push import push_image
from orchestrator.images.reference import parse_reference
from orchestrator.model.events import Progress
from orchestrator.model.image import Image
from orchestrator.settings import Settings
from tests.integration.test_images_faults import start_puller
from tests.support.cutting import cutting
from tests.support.isolation import Isolation
from tests.support.madeimages import made, settings_at
from tests.support.registry import Registry

MB = 1 << 20


@pytest.fixture
def stores(isolation: Isolation, tmp_path: Path) -> tuple[ContentStore, ContentStore]:
    """Two stores: one that has made an image, one that has nothing."""
    place = isolation.work_dir / tmp_path.name
    return ContentStore(place / "one"), ContentStore(place / "other")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_at(tmp_path)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_FIRST_S", 0.01)


def nothing(_progress: Progress) -> None:
    """Not told."""


async def at(registry: Registry, store: ContentStore, settings: Settings, name: str) -> Image:
    """An image of three layers, two of several megabytes, which is at the registry now."""
    image = await made(store, 5 * MB, 1000, 3 * MB)
    reference = parse_reference(f"{registry.host}/{name}")
    return (await push_image(image, reference, store, settings, nothing)).image


def received(registry: Registry, name: str) -> int:
    """How many requests for blobs of a repository the registry has answered."""
    return registry.log.read_text().count(f'"GET /v2/{name}/blobs/')


async def test_a_registry_that_cuts_every_connection_after_a_megabyte_is_pulled_from(
    registry: Registry, stores: tuple[ContentStore, ContentStore], settings: Settings
) -> None:
    one, other = stores
    image = await at(registry, one, settings, "lines/cut:1")
    async with cutting(registry.host, 1 * MB) as line:
        reference = parse_reference(f"{line.host}/lines/cut:1")
        with anyio.fail_after(60):
            pulled = await pull_image(reference, other, settings, "", nothing)
    assert pulled.id == image.id
    assert line.cuts >= 8
    for layer in pulled.layers:
        (came,) = other.layer_dir(layer.chain_id).glob("file*")
        (made_here,) = one.layer_dir(layer.chain_id).glob("file*")
        assert came.read_bytes() == made_here.read_bytes()
    assert list((other.root / "partial").iterdir()) == []


@pytest.mark.parametrize("size", [3 * MB, 12 * MB])
async def test_a_registry_behind_a_line_that_is_cut_after_a_megabyte_is_pushed_to(
    registry: Registry,
    stores: tuple[ContentStore, ContentStore],
    settings: Settings,
    size: int,
) -> None:
    one, other = stores
    image = await made(one, size)
    async with cutting(registry.host, 1 * MB, upwards=True) as line:
        reference = parse_reference(f"{line.host}/lines/pushed:1")
        with anyio.fail_after(60):
            await push_image(image, reference, one, settings, nothing)
        assert line.cuts >= 1
    reference = parse_reference(f"{registry.host}/lines/pushed:1")
    assert (await pull_image(reference, other, settings, "", nothing)).id == image.id


@pytest.mark.parametrize("seed", range(4))
async def test_what_a_killed_pull_had_the_next_one_need_not_fetch(
    registry: Registry,
    stores: tuple[ContentStore, ContentStore],
    settings: Settings,
    seed: int,
) -> None:
    one, other = stores
    image = await at(registry, one, settings, f"lines/killed{seed}:1")
    sizes = {layer.blob.digest: layer.blob.size_bytes for layer in image.layers}
    byte = random.Random(seed).randrange(100_000, 7 * MB)

    def kept() -> dict[str, int]:
        found = {}
        for path in (other.root / "partial").iterdir():
            with suppress(FileNotFoundError):  # it has become a blob meanwhile
                found[path.name.replace("-", ":")] = path.stat().st_size
        return found

    child = start_puller(f"{registry.host}/lines/killed{seed}:1", other.root)
    with anyio.move_on_after(20):
        while child.poll() is None and sum(kept().values()) < byte:  # noqa: ASYNC110
            await anyio.sleep(0.001)
    child.send_signal(signal.SIGKILL)
    await anyio.to_thread.run_sync(child.wait)

    again = ContentStore(other.root)
    again.recover()
    assert list((again.root / "tmp").iterdir()) == []
    left = kept()
    whole = {record.blob.digest for record in again.layers()}
    assert all(0 <= size <= sizes[digest] for digest, size in left.items())

    pulled = await pull_image(
        parse_reference(f"{registry.host}/lines/killed{seed}:1"), again, settings, "", nothing
    )
    assert pulled.id == image.id
    log = registry.log.read_text()
    for digest, size in left.items():
        if 0 < size < sizes[digest] and digest not in whole:
            # The rest came by a request for a range, which the registry answers with 206.
            assert any(digest in entry and " 206 " in entry for entry in log.splitlines()), (
                f"{size} of {sizes[digest]} bytes were here"
            )
    assert list((again.root / "partial").iterdir()) == []


async def test_what_was_kept_and_has_been_damaged_since_is_fetched_anew(
    registry: Registry, stores: tuple[ContentStore, ContentStore], settings: Settings
) -> None:
    one, other = stores
    image = await at(registry, one, settings, "lines/damaged:1")
    for layer in image.layers:
        data = one.blob_path(layer.blob.digest).read_bytes()
        half = bytearray(data[: len(data) // 2])
        half[-1] ^= 1
        other.partial_path(layer.blob.digest).write_bytes(half)
    # More than there is of it is no beginning either.
    other.partial_path(image.layers[1].blob.digest).write_bytes(b"x" * 10_000)
    reference = parse_reference(f"{registry.host}/lines/damaged:1")
    assert (await pull_image(reference, other, settings, "", nothing)).id == image.id
    assert list((other.root / "partial").iterdir()) == []


async def test_a_whole_blob_that_was_kept_is_not_fetched_at_all(
    registry: Registry, stores: tuple[ContentStore, ContentStore], settings: Settings
) -> None:
    one, other = stores
    image = await at(registry, one, settings, "lines/whole:1")
    for layer in image.layers:
        data = one.blob_path(layer.blob.digest).read_bytes()
        other.partial_path(layer.blob.digest).write_bytes(data)
    reference = parse_reference(f"{registry.host}/lines/whole:1")
    assert (await pull_image(reference, other, settings, "", nothing)).id == image.id
    log = registry.log.read_text()
    for layer in image.layers:
        assert f'"GET /v2/lines/whole/blobs/{layer.blob.digest}' not in log


def test_a_beginning_that_nobody_adds_to_is_forgotten(
    stores: tuple[ContentStore, ContentStore],
) -> None:
    store = stores[0]
    old, new = (store.partial_path("sha256:" + digit * 64) for digit in "12")
    for path in (old, new):
        path.write_bytes(b"beginning")
    os.utime(old, (0, 0))
    store.recover()
    assert list((store.root / "partial").iterdir()) == [new]
    for path in store.retire_partial():
        store.discard(path)
    assert list((store.root / "partial").iterdir()) == list((store.root / "tmp").iterdir()) == []
