"""Freeing content costs what goes, not what stays, and nothing is found of what is going."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from orchestrator.engine.images import Images
from orchestrator.images.built import adopt_layer, write_image
from orchestrator.images.content import ContentStore, LayerRecord
from orchestrator.model.image import Image, ImageConfig, Layer
from orchestrator.settings import Settings
from orchestrator.state.database import open_database
from tests.support.isolation import Isolation

pytestmark = pytest.mark.anyio
LAYERS = 20


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def store(isolation: Isolation, tmp_path: Path) -> ContentStore:
    return ContentStore(isolation.work_dir / tmp_path.name / "content")


@pytest.fixture
def images(store: ContentStore) -> Iterator[Images]:
    place = store.root.parent
    options = Settings(data_dir=place, run_dir=place, socket=place / "s", log_file=place / "l")
    with open_database(place / "state.db") as database:
        yield Images(database, store, options, lambda _event: None)


async def made(images: Images, store: ContentStore, name: str) -> Image:
    """An image of twenty layers that no other has."""
    async with images.holding():
        layers = await built(store, name, LAYERS)
        written = await write_image(store, ImageConfig(author=name), layers)
        return images.register(written, [f"docker.io/library/{name}:1"])


async def built(store: ContentStore, name: str, count: int) -> list[Layer]:
    layers: list[Layer] = []
    for number in range(count):
        tree = store.begin_layer()
        (tree / f"{name}-{number}").write_text(name)
        layers.append(await adopt_layer(store, tree, layers[-1].chain_id if layers else ""))
    return layers


async def test_the_records_of_layers_that_stay_are_read_once(
    store: ContentStore, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two", "three"):
        await made(images, store, name)
    await images.collect()
    read: list[str] = []
    look = ContentStore.layer

    def counted(self: ContentStore, chain_id: str) -> LayerRecord | None:
        read.append(chain_id)
        return look(self, chain_id)

    monkeypatch.setattr(ContentStore, "layer", counted)
    removed = await images.remove("one:1")
    assert len(removed.layers) == LAYERS
    assert removed.size_bytes == LAYERS * len("one")
    assert sorted(read) == sorted(removed.layers)
    assert len(store.layers()) == 2 * LAYERS


async def test_content_is_all_there_or_all_gone_for_whoever_holds_it(
    store: ContentStore, images: Images
) -> None:
    image = await made(images, store, "one")
    found: set[int] = set()

    async def look() -> None:
        async with images.holding():
            found.add(sum(store.layer(layer.chain_id) is not None for layer in image.layers))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(images.remove, "one:1")
        for _ in range(50):
            tasks.start_soon(look)
            await anyio.sleep(0.0005)
    assert found <= {0, LAYERS}
    await images.collect()
    assert store.layers() == []


async def test_what_changes_while_the_records_are_read_for_the_first_time_is_known(
    store: ContentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stays, goes = await built(store, "x", 2)
    later = ContentStore(store.root)
    read = ContentStore.layers

    def slowly(self: ContentStore) -> list[LayerRecord]:
        found = read(self)
        self.discard(self.retire_layer(goes.chain_id))
        return found

    monkeypatch.setattr(ContentStore, "layers", slowly)
    assert set(later.sources()) == {stays.chain_id}
    assert set(store.sources()) == {stays.chain_id}
