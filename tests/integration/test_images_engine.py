"""Images as the engine records them: tags, removal, what is freed, archives."""

from __future__ import annotations

import gzip
import itertools
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.aio.process import run_process
from orchestrator.engine.image_archives import ImageArchives
from orchestrator.engine.images import Images, Removed
from orchestrator.errors import Conflict, Failed, InvalidInput, NotFound, Unavailable
from orchestrator.images.built import adopt_layer, write_image
from orchestrator.images.content import ContentStore
from orchestrator.model.container import ContainerSpec
from orchestrator.model.events import Event, Progress
from orchestrator.model.image import Image, ImageConfig, Layer
from orchestrator.model.observed import Container, State, Status
from orchestrator.settings import Settings
from orchestrator.state.buildcache import CachedStep
from orchestrator.state.database import Database, open_database
from orchestrator.wire.filters import Filters
from tests.support.isolation import Isolation
from tests.support.oci import OciImage
from tests.support.registry import Registry


@dataclass
class Place:
    """Images with a database and a store of their own."""

    database: Database
    store: ContentStore
    images: Images
    archives: ImageArchives
    settings: Settings
    events: list[Event]

    def told(self) -> list[tuple[str, str]]:
        found = [(event.action, event.attributes["name"]) for event in self.events]
        self.events.clear()
        return found


@pytest.fixture
def place(isolation: Isolation, tmp_path: Path) -> Iterator[Place]:
    directory = isolation.work_dir / tmp_path.name
    settings = Settings(
        data_dir=directory,
        run_dir=directory,
        socket=directory / "socket",
        log_file=directory / "log",
        docker_config=directory / "docker.json",
    )
    events: list[Event] = []
    with open_database(directory / "state.db") as database:
        store = ContentStore(directory / "content")
        images = Images(database, store, settings, events.append)
        archives = ImageArchives(images, store, settings)
        yield Place(database, store, images, archives, settings, events)


def ignore(progress: Progress) -> None:
    pass


async def make_layer(store: ContentStore, text: str, parent: Layer | None = None) -> Layer:
    tree = store.begin_layer()
    (tree / text).write_text(text)
    return await adopt_layer(store, tree, parent.chain_id if parent else "")


async def make_image(store: ContentStore, *texts: str) -> Image:
    layers: list[Layer] = []
    for text in texts:
        layers.append(await make_layer(store, text, layers[-1] if layers else None))
    return await write_image(store, ImageConfig(architecture="amd64", author=texts[-1]), layers)


def use(place: Place, image: Image, name: str, status: Status = "exited") -> None:
    place.database.containers.put(
        Container(
            id=name * 8,
            name=name,
            spec=ContainerSpec(image="x"),
            image_id=image.id,
            created_at=1,
            state=State(status=status),
        )
    )


async def test_an_image_is_found_by_every_name_it_has(place: Place) -> None:
    image = place.images.register(await make_image(place.store, "a"), ["app", "r.example/app:2"])
    digits = image.id.removeprefix("sha256:")
    names = ("app", "app:latest", "docker.io/library/app", "r.example/app:2", image.id, digits)
    for name in (*names, digits[:12], "sha256:" + digits[:12]):
        assert place.images.find(name) == image, name
    for name in ("app:2", "other", "r.example/app", "0" * 64, "", "A B"):
        assert place.images.find(name) is None, name


async def test_an_image_that_is_not_here_says_how_to_get_it(place: Place) -> None:
    with pytest.raises(NotFound) as caught:
        place.images.get("redis:7")
    assert (caught.value.code, caught.value.about) == ("no-such-image", "redis:7")
    assert caught.value.hint == "get it with: pystack pull redis:7"


async def test_a_tag_moves_to_the_image_that_takes_it(place: Place) -> None:
    old = place.images.register(await make_image(place.store, "old"), ["app:1", "app:2"])
    new = place.images.register(await make_image(place.store, "new"), ["app:1"])
    assert place.images.get("app:1").id == new.id
    assert place.images.get(old.id).tags == ("docker.io/library/app:2",)
    assert place.images.tag(old.id, "app:1").tags == (
        "docker.io/library/app:2",
        "docker.io/library/app:1",
    )
    assert place.images.get(new.id).tags == ()
    assert place.told() == [("tag", "app:1")]


async def test_nobody_can_choose_a_digest(place: Place) -> None:
    image = place.images.register(await make_image(place.store, "a"), ["app"])
    with pytest.raises(InvalidInput):
        place.images.tag("app", f"app@{image.id}")


async def test_removing_a_tag_keeps_the_image_while_it_has_another(place: Place) -> None:
    image = place.images.register(await make_image(place.store, "a"), ["app:1", "app:2"])
    assert await place.images.remove("app:1") == Removed(untagged=("docker.io/library/app:1",))
    assert await place.images.remove("app:2") == Removed(
        untagged=("docker.io/library/app:2",),
        deleted=(image.id,),
        layers=(image.layers[0].chain_id,),
        size_bytes=1,
    )
    assert place.told() == [("untag", "app:1"), ("untag", "app:2"), ("delete", image.id)]
    assert place.images.all() == []


async def test_removing_frees_exactly_what_nobody_shares(place: Place) -> None:
    one = place.images.register(await make_image(place.store, "base", "one"), ["one"])
    two = place.images.register(await make_image(place.store, "base", "two"), ["two"])
    step = await make_layer(place.store, "step", one.layers[0])
    place.database.build_cache.put(CachedStep(id="key", layer=step, created_at=1, last_used_at=1))
    await place.images.remove("one")
    kept = {layer.chain_id for layer in (*two.layers, step)}
    assert {record.chain_id for record in place.store.layers()} == kept
    assert set(place.store.blobs()) == {two.id, two.manifest_digest}
    assert not place.images.lowers(one)[0].exists()
    assert (place.images.lowers(two)[0] / "two").read_text() == "two"
    assert list((place.store.root / "tmp").iterdir()) == []


async def test_an_image_in_use_stays(place: Place) -> None:
    image = place.images.register(await make_image(place.store, "a"), ["app"])
    use(place, image, "web-1")
    with pytest.raises(Conflict) as caught:
        await place.images.remove("app")
    assert caught.value.code == "image-in-use"
    assert caught.value.message == (
        'conflict: unable to remove repository reference "app:latest" (must force)'
        f" - container web-1web-1we is using its referenced image {image.id[7:19]}"
    )
    with pytest.raises(Conflict) as caught:
        await place.images.remove(image.id)
    assert caught.value.message == (
        f"conflict: unable to delete {image.id[7:19]} (must be forced)"
        " - image is being used by stopped container web-1web-1we"
    )
    assert await place.images.prune(Filters({"dangling": ("false",)})) == Removed()


async def test_an_image_removed_under_a_stopped_container_goes_with_it(place: Place) -> None:
    image = place.images.register(await make_image(place.store, "a"), ["app"])
    use(place, image, "web-1")
    removed = await place.images.remove("app", force=True)
    assert removed == Removed(untagged=("docker.io/library/app:latest",), deleted=(image.id,))
    assert place.images.all() == []
    assert place.images.find(image.id[7:19]) is None
    with pytest.raises(NotFound):
        await place.images.remove(image.id)
    # The container can still be started: it finds its image by the id that it has noted.
    assert (place.images.lowers(place.images.get(image.id))[0] / "a").read_text() == "a"
    await place.images.release(image.id)
    assert len(place.store.layers()) == 1
    place.database.containers.delete("web-1" * 8)
    await place.images.release(image.id)
    assert place.images.find(image.id) is None
    assert (place.store.layers(), place.store.blobs()) == ([], [])


async def test_an_image_that_runs_loses_its_name_by_force_and_nothing_else(place: Place) -> None:
    image = place.images.register(await make_image(place.store, "a"), ["app"])
    use(place, image, "web-1", "running")
    with pytest.raises(Conflict) as caught:
        await place.images.remove(image.id, force=True)
    assert "(cannot be forced) - image is being used by running" in caught.value.message
    removed = await place.images.remove("app", force=True)
    assert removed == Removed(untagged=("docker.io/library/app:latest",))
    assert [found.tags for found in place.images.all()] == [()]


async def test_an_image_that_comes_back_is_retired_no_more(place: Place) -> None:
    image = place.images.register(await make_image(place.store, "a"), ["app"])
    use(place, image, "web-1")
    await place.images.remove("app", force=True)
    place.images.register(image, ["app"])
    assert place.images.get("app").id == image.id
    place.database.containers.delete("web-1" * 8)
    await place.images.release(image.id)
    assert [found.id for found in place.images.all()] == [image.id]


async def test_a_repositorys_digests_go_with_its_last_tag(place: Place) -> None:
    made = await make_image(place.store, "a")
    pinned = "docker.io/library/app@sha256:" + "1" * 64
    other = "r.example/app@sha256:" + "2" * 64
    image = place.images.register(replace(made, digests=(pinned, other)), ["app:1", "app:2"])
    assert (await place.images.remove("app:1")).untagged == ("docker.io/library/app:1",)
    assert (await place.images.remove("app:2")).untagged == ("docker.io/library/app:2", pinned)
    assert place.images.get(other).id == image.id
    assert (await place.images.remove(other)).deleted == (image.id,)


async def test_an_ambiguous_beginning_of_an_id_is_refused(place: Place) -> None:
    made = await make_image(place.store, "a")
    for last in "12":
        identifier = "sha256:" + "abc" + "0" * 60 + last
        place.database.images.put(replace(made, id=identifier))
    assert place.images.find("abc") is None
    with pytest.raises(InvalidInput) as caught:
        place.images.get("abc")
    assert caught.value.code == "ambiguous-id"
    with pytest.raises(InvalidInput):
        await place.images.remove("abc", force=True)


async def test_an_id_with_several_tags_needs_force(place: Place) -> None:
    image = place.images.register(await make_image(place.store, "a"), ["app:1", "app:2"])
    with pytest.raises(Conflict) as caught:
        await place.images.remove(image.id)
    assert caught.value.code == "image-has-tags"
    assert (await place.images.remove(image.id, force=True)).deleted == (image.id,)


async def test_nothing_is_freed_under_a_pull_or_a_build(place: Place) -> None:
    old = place.images.register(await make_image(place.store, "shared"), ["old"])
    async with place.images.holding():
        await place.images.remove("old")
        assert len(place.store.layers()) == 1
        new = await make_image(place.store, "shared", "more")
        place.images.register(new, ["new"])
    assert {record.chain_id for record in place.store.layers()} == {
        layer.chain_id for layer in new.layers
    }
    assert old.layers[0] == new.layers[0]


async def test_an_engine_that_was_killed_is_mended_by_the_next(place: Place) -> None:
    kept = place.images.register(await make_image(place.store, "a"), ["app"])
    await make_image(place.store, "orphan")
    (place.store.begin_layer() / "half").write_text("half")
    place.store.scratch().write_bytes(b"half a blob")
    place.database.images.put(
        Image(id="sha256:" + "1" * 64, manifest_digest="", config=ImageConfig(), tags=kept.tags)
    )
    await place.images.recover()
    assert list((place.store.root / "tmp").iterdir()) == []
    assert [record.chain_id for record in place.store.layers()] == [kept.layers[0].chain_id]
    assert sum(kept.tags[0] in image.tags for image in place.images.all()) == 1


async def test_the_policy_decides_whether_a_registry_is_asked(
    place: Place, registry: Registry, busybox_image: OciImage
) -> None:
    name = registry.push(busybox_image, "engine/policy")
    with anyio.fail_after(60):
        with pytest.raises(NotFound):
            await place.images.ensure(name, "never", ignore)
        image = await place.images.ensure(name, "missing", ignore)
        assert (image.id, place.told()) == (busybox_image.config_digest, [("pull", name)])
        assert await place.images.ensure(name, "missing", ignore) == image
        assert await place.images.ensure(image.id, "always", ignore) == image
        assert place.told() == []
        again = await place.images.ensure(name, "always", ignore)
        assert again.pulled_at > image.pulled_at
        assert again == replace(image, pulled_at=again.pulled_at)
        assert place.told() == [("pull", name)]
        place.images.tag(name, "127.0.0.1:9/app")
        assert (await place.images.ensure("127.0.0.1:9/app", "missing", ignore)).id == image.id
        with pytest.raises(Unavailable):
            await place.images.ensure("127.0.0.1:9/app", "always", ignore)


async def test_many_services_of_one_image_pull_it_once(
    place: Place, registry: Registry, busybox_image: OciImage
) -> None:
    name = registry.push(busybox_image, "engine/many")
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(place.images.ensure, name, "missing", ignore)
    assert place.told() == [("pull", name)]


def skopeo(source: str, target: str) -> None:
    command = ["skopeo", "--insecure-policy", "copy", "--quiet", source, target]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("streamed", [False, True], ids=["file", "stream"])
async def test_an_archive_is_loaded(
    place: Place, busybox_image: OciImage, tmp_path: Path, kind: str, packed: bool, streamed: bool
) -> None:
    path = tmp_path / "archive.tar"
    skopeo(f"oci:{busybox_image.directory}", f"{kind}:{path}:my/app:1")
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes(), 1))
    (image,) = await place.images.load_archive(pieces(path) if streamed else path, ignore)
    assert (image.id, image.tags) == (busybox_image.config_digest, ("docker.io/my/app:1",))
    assert (place.images.lowers(image)[0] / "bin/busybox").stat().st_size > 1 << 20
    assert place.store.has_blob(image.layers[0].blob.digest)
    assert place.told() == [("load", "my/app:1")]
    assert list((place.store.root / "tmp").iterdir()) == []


async def test_what_is_no_archive_is_refused(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "archive.tar"
    path.write_bytes(b"no tar" * 1000)
    with pytest.raises(InvalidInput) as caught:
        await place.images.load_archive(path, ignore)
    assert caught.value.code == "image-archive-invalid"
    await run_process(["tar", "-cf", str(path), "-C", "/etc", "hostname"], timeout_s=10)
    with pytest.raises(InvalidInput) as caught:
        await place.images.load_archive(path, ignore)
    assert "neither manifest.json nor index.json" in caught.value.message
    with pytest.raises(Failed) as failed:
        await place.images.load_archive(tmp_path / "missing.tar", ignore)
    assert failed.value.code == "image-archive-unreadable"


async def test_a_root_file_system_becomes_an_image(place: Place, tmp_path: Path) -> None:
    (tmp_path / "root/bin").mkdir(parents=True)
    (tmp_path / "root/bin/hello").write_text("#!/bin/sh\n")
    path = tmp_path / "root.tar"
    await run_process(["tar", "-cf", str(path), "-C", str(tmp_path / "root"), "."], timeout_s=10)
    config = ImageConfig(command=("/bin/hello",))
    image = await place.archives.import_tar(pieces(path), "local/base:1", config=config)
    assert image.tags == ("docker.io/local/base:1",)
    assert image.config.command == ("/bin/hello",)
    assert image.config.architecture
    assert image.created_at > 1e9
    assert (place.images.lowers(image)[0] / "bin/hello").read_text() == "#!/bin/sh\n"
    assert place.told() == [("import", "local/base:1")]


async def pieces(path: Path) -> AsyncIterator[bytes]:
    async with await anyio.open_file(path, "rb") as file:
        while data := await file.read(50_000):
            yield data


class Killed(BaseException):
    """The engine's end, at an instruction of the test's choice."""


@contextmanager
def killed_at(place: Place, number: int) -> Iterator[None]:
    """A block that is cut off at the number-th thing that it does to the disk, before it is done;
    the records and the store are opened anew afterwards, as a new engine does."""
    left = itertools.count(number, -1)
    patch = pytest.MonkeyPatch()

    def counted(owner: object, name: str) -> None:
        real = getattr(owner, name)

        def cut(*args: Any, **kwargs: Any) -> Any:
            if next(left) <= 0:
                raise Killed
            return real(*args, **kwargs)

        patch.setattr(owner, name, cut)

    for owner, names in {
        place.database.images: ("put", "delete"),
        place.store: ("retire_layer", "retire_blob", "discard", "adopt_blob", "commit_layer"),
    }.items():
        for name in names:
            counted(owner, name)
    try:
        yield
    except Killed:
        pass
    finally:
        patch.undo()


async def test_a_removal_killed_anywhere_is_finished_or_undone_by_the_next_engine(
    place: Place,
) -> None:
    for number in range(14):
        base = place.images.register(await make_image(place.store, "base"), ["base"])
        image = place.images.register(await make_image(place.store, "base", "app"), ["app", "b:2"])
        with killed_at(place, number):
            await place.images.remove(image.id, force=True)
        after = Images(place.database, place.store, place.settings, place.events.append)
        await after.recover()
        kept = after.find(image.id)
        if kept is None:
            assert {record.chain_id for record in place.store.layers()} == {base.layers[0].chain_id}
        else:
            assert all(path.is_dir() for path in after.lowers(kept))
            assert len(place.store.layers()) == 2
        assert list((place.store.root / "tmp").iterdir()) == []
        await after.prune(Filters({"dangling": ("false",)}))
        assert (place.store.layers(), place.store.blobs()) == ([], [])
