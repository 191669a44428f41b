"""The build cache: what counts for it and what does not, its bounds, its way to other machines."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.aio.process import run_process
from orchestrator.errors import InvalidInput
from orchestrator.images.archive_writer import Saved, write_archive
from orchestrator.model.stack import Build, BuildOutput
from tests.support.builds import Place, build_place
from tests.support.isolation import Isolation
from tests.support.oci import OciImage

COPY = "FROM scratch\nCOPY src /src\n"


@pytest.fixture
async def place(
    isolation: Isolation, busybox_image: OciImage, tmp_path: Path, cgroup_parent: str
) -> AsyncIterator[Place]:
    directory = isolation.work_dir / tmp_path.name
    async with build_place(directory, busybox_image, "busybox", cgroup_parent) as made:
        yield made


@pytest.fixture
async def elsewhere(
    isolation: Isolation, busybox_image: OciImage, tmp_path: Path, cgroup_parent: str
) -> AsyncIterator[Place]:
    """Builds of another engine, which shares nothing with the first."""
    directory = isolation.work_dir / f"{tmp_path.name}-2"
    async with build_place(directory, busybox_image, "busybox", f"{cgroup_parent}-2") as made:
        yield made


async def test_content_modes_and_names_count_and_times_do_not(place: Place) -> None:
    place.write({"src/a": "1", "src/b/c": "2", "other": "x"})
    file = place.context / "src/a"

    async def cached() -> bool:
        await place.build(COPY)
        return place.cached() == ["COPY src /src"]

    assert not await cached()
    assert await cached()
    for path in (file, file.parent, place.context / "src/b", place.context / "src/b/c"):
        os.utime(path, (1, 1))
    assert await cached()
    place.write({"other": "y"})
    assert await cached()
    file.chmod(0o600)
    assert not await cached()
    file.chmod(0o644)
    assert await cached()
    file.write_text("3")
    assert not await cached()
    file.rename(file.with_name("z"))
    assert not await cached()
    (place.context / "src/b/c").unlink()
    (place.context / "src/b/c").symlink_to("../z")
    assert not await cached()


async def test_a_file_changed_without_a_trace_in_its_times_is_noticed(place: Place) -> None:
    place.write({"src/a": "aaaa"})
    file = place.context / "src/a"
    os.utime(file, (1000, 1000))
    await place.build(COPY)
    await place.build(COPY)
    assert place.cached() == ["COPY src /src"]
    file.write_text("bbbb")
    os.utime(file, (1000, 1000))
    image = await place.build(COPY)
    assert (await place.files(image, "src"))["a"] == "644 0:0 bbbb"


async def test_no_cache_can_be_asked_for_one_stage(place: Place) -> None:
    dockerfile = (
        "FROM busybox AS one\nRUN head -c 9 /dev/urandom > /n\n"
        "FROM busybox AS two\nRUN head -c 9 /dev/urandom > /n\n"
        "FROM scratch\nCOPY --from=one /n /1\nCOPY --from=two /n /2\n"
    )
    await place.build(dockerfile)
    await place.build(dockerfile, no_cache_filter=("two",))
    # The same command on the same image is the same step: the second stage did it anew.
    assert place.cached() == ["RUN head -c 9 /dev/urandom > /n", "COPY --from=one /n /1"]


async def test_a_linked_layer_is_not_made_again_on_another_base(place: Place) -> None:
    place.write({"file": "content"})
    dockerfile = "FROM busybox\nRUN echo {} > /base\nCOPY --link file /out/file\n"
    first = await place.build(dockerfile.format(1))
    second = await place.build(dockerfile.format(2))
    assert place.cached() == ["COPY --link file /out/file"]
    assert first.layers[-1].diff_id == second.layers[-1].diff_id
    assert first.layers[-1].chain_id != second.layers[-1].chain_id
    files = await place.files(second, "")
    assert (files["base"], files["out/file"]) == ("644 0:0 2\n", "644 0:0 content")
    plain = dockerfile.replace("--link ", "")
    await place.build(plain.format(1))
    await place.build(plain.format(2))
    assert "COPY file /out/file" not in place.cached()


async def test_a_build_with_an_epoch_is_the_same_to_the_digest_everywhere(
    place: Place, elsewhere: Place, tmp_path: Path
) -> None:
    dockerfile = (
        "FROM busybox AS made\nRUN mkdir /m && echo m > /m/m\n"
        "FROM busybox\nLABEL a=b\nWORKDIR /work\nCOPY src /src\nADD packed.tar /p/\n"
        "COPY <<E /doc\ntext\nE\nCOPY --from=made /m /m\nCOPY --link src /linked\n"
        "RUN touch /etc/new && rm /bin/yes && ln -s new /etc/link\n"
    )
    ids = []
    for number, one in enumerate((place, elsewhere)):
        one.write({"src/a": "1", "src/b/c": "2"})
        (one.context / "packed.tar").write_bytes(_tar(tmp_path / str(number)))
        build = Build(
            context=str(one.context),
            dockerfile_inline=dockerfile,
            args={"SOURCE_DATE_EPOCH": "1710000000"},
            outputs=(
                BuildOutput(kind="image", path=""),
                BuildOutput(kind="oci", path=str(tmp_path / f"{number}.oci"), name="x:1"),
                BuildOutput(kind="tar", path=str(tmp_path / f"{number}.tar")),
            ),
        )
        image = await one.builds.build(build, ["x"], one.said.append)
        assert image.config.created == "2024-03-09T16:00:00+00:00"
        assert {line.created for line in image.history[1:]} == {image.config.created}
        async with one.root(image) as root:
            times = [path.lstat().st_mtime for path in root.rglob("*")]
            assert max(times) <= 1_710_000_000
        ids.append((image.id, image.manifest_digest))
    assert ids[0] == ids[1]
    for kind in ("oci", "tar"):
        first, second = (tmp_path / f"{n}.{kind}" for n in (0, 1))
        assert first.read_bytes() == second.read_bytes()
    with pytest.raises(InvalidInput, match="SOURCE_DATE_EPOCH=soon is no time"):
        await place.build("FROM scratch\n", args={"SOURCE_DATE_EPOCH": "soon"})


def _tar(directory: Path) -> bytes:
    import io
    import tarfile

    directory.mkdir()
    (directory / "f").write_text("f")
    os.utime(directory / "f", (5_000_000_000, 5_000_000_000))
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.add(directory / "f", "in/f")
    return data.getvalue()


async def test_steps_travel_in_a_directory(place: Place, elsewhere: Place, tmp_path: Path) -> None:
    dockerfile = (
        "FROM busybox AS one\nRUN head -c 9 /dev/urandom > /n\nRUN true\n"
        "FROM busybox\nCOPY file /f\nRUN head -c 9 /dev/urandom > /random\nCOPY --from=one /n /n\n"
    )
    place.write({"file": "1"})
    cache = tmp_path / "cache"
    first = await place.build(dockerfile, cache_to=(f"type=local,dest={cache},mode=max",))
    elsewhere.write({"file": "1"})
    second = await elsewhere.build(dockerfile, cache_from=(f"type=local,src={cache}",))
    assert sorted(elsewhere.cached()) == [
        "COPY --from=one /n /n",
        "COPY file /f",
        "RUN head -c 9 /dev/urandom > /n",
        "RUN head -c 9 /dev/urandom > /random",
        "RUN true",
    ]
    assert [layer.diff_id for layer in first.layers] == [layer.diff_id for layer in second.layers]
    for blob in (cache / "blobs/sha256").iterdir():
        blob.write_bytes(b"damaged")
    with pytest.raises(InvalidInput, match="holds no build cache"):
        await elsewhere.build(dockerfile, cache_from=(f"type=local,src={cache}",))
    await elsewhere.build(dockerfile, cache_from=("type=local,src=/nowhere",))
    with pytest.raises(InvalidInput, match="names no build cache"):
        await place.build(dockerfile, cache_to=("type=gha",))


async def test_a_damaged_layer_of_an_imported_cache_is_built(
    place: Place, elsewhere: Place, tmp_path: Path
) -> None:
    dockerfile = "FROM busybox\nRUN echo one > /one\n"
    cache = tmp_path / "cache"
    image = await place.build(dockerfile, cache_to=(f"type=local,dest={cache}",))
    blob = cache / "blobs" / image.layers[-1].blob.digest.replace(":", "/")
    blob.write_bytes(b"x" * blob.stat().st_size)
    image = await elsewhere.build(dockerfile, cache_from=(f"type=local,src={cache}",))
    assert elsewhere.cached() == []
    assert (await elsewhere.files(image, ""))["one"] == "644 0:0 one\n"
    assert elsewhere.leftovers() == []


async def test_steps_travel_in_the_image_itself(
    place: Place, elsewhere: Place, tmp_path: Path
) -> None:
    dockerfile = "FROM busybox\nENV A=1\nRUN head -c 9 /dev/urandom > /n\n"
    first = await place.build(dockerfile, "localhost/it:1", cache_to=("type=inline",))
    archive = tmp_path / "it.tar"
    saved = Saved(first, ("localhost/it:1",))
    archive.write_bytes(b"".join([p async for p in write_archive(place.store, [saved])]))
    await elsewhere.images.load_archive(archive, elsewhere.said.append)
    second = await elsewhere.build(dockerfile, cache_from=("localhost/it:1",))
    assert elsewhere.cached() == ["RUN head -c 9 /dev/urandom > /n"]
    assert second.layers[-1].diff_id == first.layers[-1].diff_id


async def test_the_cache_stays_within_its_bounds(place: Place) -> None:
    for number in range(4):
        await place.build(
            f"FROM busybox\nRUN head -c 100000 /dev/zero > /z{number}\n", f"t{number}"
        )
        await place.images.remove(f"t{number}")
    usage = await place.builds.storage.usage()
    assert (usage.count, usage.total_bytes, usage.reclaimable_bytes) == (4, 400_000, 400_000)
    pruned = await place.builds.storage.bound(250_000)
    assert pruned.size_bytes == 200_000
    usage = await place.builds.storage.usage()
    assert usage.total_bytes == 200_000
    assert [e.description[-3:].strip("/") for e in usage.entries] == ["z3", "z2"]


async def test_what_images_share_with_the_cache_is_not_counted_as_freed(place: Place) -> None:
    dockerfile = "FROM busybox\nRUN --mount=type=cache,target=/c,id=k head -c 9 /dev/zero > /c/f\n"
    await place.build(dockerfile + "RUN head -c 5000 /dev/zero > /z\n")
    usage = await place.builds.storage.usage()
    kinds = {entry.kind: entry for entry in usage.entries if entry.size_bytes}
    assert kinds["exec.cachemount"].size_bytes == 9
    assert kinds["exec.cachemount"].description == "cache mount k"
    assert kinds["regular"].shared
    assert usage.reclaimable_bytes == 9
    pruned = await place.builds.storage.prune(kinds=("exec.cachemount",))
    assert pruned.size_bytes == 9
    await place.builds.storage.prune()
    assert [entry.shared for entry in (await place.builds.storage.usage()).entries] == [True]
    await place.builds.storage.prune(everything=True)
    assert (await place.builds.storage.usage()).count == 0


async def test_results_go_to_directories_and_archives(place: Place, tmp_path: Path) -> None:
    place.write({"file": "1"})
    outputs = (
        BuildOutput(kind="local", path=str(tmp_path / "local")),
        BuildOutput(kind="docker", path=str(tmp_path / "docker.tar")),
        BuildOutput(kind="oci", path=str(tmp_path / "oci.tar"), name="localhost/named:2"),
    )
    await place.build("FROM scratch\nCOPY --chown=5:6 file /a/b\n", "only", outputs=outputs)
    assert (tmp_path / "local/a/b").read_text() == "1"
    assert (tmp_path / "local/a/b").stat().st_uid == os.geteuid()
    # It went there and nowhere else.
    assert place.images.find("only") is None
    for name, tag in (("docker", "docker.io/library/only:latest"), ("oci", "localhost/named:2")):
        images = await place.images.load_archive(tmp_path / f"{name}.tar", place.said.append)
        assert images[0].tags == (tag,)
        assert (await place.files(images[0], "a"))["b"] == "644 5:6 1"
    layout = tmp_path / "layout"
    layout.mkdir()
    done = await run_process(["tar", "-xf", str(tmp_path / "oci.tar"), "-C", str(layout)])
    assert done.exit_code == 0
    assert json.loads((layout / "index.json").read_text())["manifests"]
    image = await place.build("FROM base\n", contexts={"base": f"oci-layout://{layout}"})
    assert (await place.files(image, "a"))["b"] == "644 5:6 1"
