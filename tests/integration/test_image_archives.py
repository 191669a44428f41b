"""Archives that other tools read, archives that are broken, archives that were made to do harm."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.aio.process import run_process
from orchestrator.errors import Failed, InvalidInput, PystackError
from orchestrator.images.archive import load_archive
from orchestrator.images.archive_file import Limits
from orchestrator.images.archive_writer import ArchiveFormat, Saved, write_archive
from orchestrator.images.built import adopt_layer, write_image
from orchestrator.images.content import ContentStore
from orchestrator.model.events import Progress
from orchestrator.model.image import Image, ImageConfig
from tests.support.isolation import Isolation
from tests.support.oci import OciImage, add_file

TAG = "docker.io/library/app:1"


def ignore(progress: Progress) -> None:
    pass


@pytest.fixture
def store(isolation: Isolation, tmp_path: Path) -> ContentStore:
    return ContentStore(isolation.work_dir / tmp_path.name / "content")


async def made(store: ContentStore) -> Image:
    tree = store.begin_layer()
    (tree / "hello").write_text("greetings")
    (tree / ("long" * 40)).write_text("long")
    layer = await adopt_layer(store, tree, "")
    return await write_image(store, ImageConfig(architecture="amd64", os="linux"), [layer])


async def saved(store: ContentStore, image: Image, form: ArchiveFormat = "both") -> bytes:
    return b"".join([piece async for piece in write_archive(store, [Saved(image, (TAG,))], form)])


async def stream(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 10_000):
        yield data[start : start + 10_000]


async def load(store: ContentStore, data: bytes, limits: Limits | None = None) -> list[Image]:
    return await load_archive(stream(data), store, ignore, limits or Limits())


def archive(documents: dict[str, Any]) -> bytes:
    """A tar of these files: bytes as they are, all else as JSON."""
    data = io.BytesIO()
    with tarfile.TarFile(fileobj=data, mode="w") as tar:
        for name, content in documents.items():
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
            add_file(tar, name, raw)
    return data.getvalue()


@pytest.mark.parametrize("form", ["both", "docker", "oci"])
async def test_the_same_images_give_the_same_bytes_and_come_back_the_same(
    store: ContentStore, isolation: Isolation, tmp_path: Path, form: ArchiveFormat
) -> None:
    image = await made(store)
    data = await saved(store, image, form)
    assert data == await saved(store, image, form)
    other = ContentStore(isolation.work_dir / tmp_path.name / "other")
    (loaded,) = await load(other, data)
    assert (loaded.id, loaded.tags, loaded.layers) == (image.id, (TAG,), image.layers)
    if form != "docker":
        assert loaded.manifest_digest == image.manifest_digest
    # Its layer packs to these bytes again, so they are not stored a second time.
    assert not other.has_blob(image.layers[0].blob.digest)
    assert await saved(other, loaded, form) == data


async def test_a_pulled_images_manifest_and_packed_layers_survive(
    store: ContentStore, busybox_image: OciImage, tmp_path: Path
) -> None:
    (image,) = await load_archive(
        busybox_image.archive(tmp_path / "in.tar"), store, ignore, Limits()
    )
    assert image.manifest_digest == busybox_image.manifest_digest
    path = tmp_path / "out.tar"
    path.write_bytes(await saved(store, image))
    for source in (f"docker-archive:{path}:app:1", f"oci-archive:{path}:1"):
        target = tmp_path / source.partition(":")[0]
        command = ["skopeo", "--insecure-policy", "copy", "--quiet", source, f"oci:{target}:x"]
        await run_process(command, timeout_s=60)
        if source.startswith("oci-archive"):
            index = json.loads((target / "index.json").read_text())
            assert index["manifests"][0]["digest"] == busybox_image.manifest_digest


async def test_a_damaged_layer_is_not_saved_as_if_it_were_whole(store: ContentStore) -> None:
    image = await made(store)
    (store.layer_dir(image.layers[0].chain_id) / "hello").write_text("jello")
    with pytest.raises(Failed) as caught:
        await saved(store, image)
    assert caught.value.code == "content-damaged"
    store.discard(store.retire_layer(image.layers[0].chain_id))
    with pytest.raises(Failed) as caught:
        await anext(write_archive(store, [Saved(image, ())]))
    assert caught.value.code == "content-damaged"


CONFIG = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"diff_ids": []}}
DEEP: Any = b"[" * 200_000


@pytest.mark.parametrize(
    "documents",
    [
        {},
        {"other": b""},
        {"manifest.json": b"{"},
        {"manifest.json": DEEP},
        {"manifest.json": {"a": 1}},
        {"manifest.json": [1]},
        {"manifest.json": [{}]},
        {"manifest.json": [{"Config": 7, "Layers": []}]},
        {"manifest.json": [{"Config": "../../../etc/passwd", "Layers": []}]},
        {"manifest.json": [{"Config": "c", "Layers": ["l"]}], "c": CONFIG},
        {"manifest.json": [{"Config": "c", "Layers": 5}], "c": CONFIG},
        {"manifest.json": [{"Config": "c", "Layers": []}], "c": b"\xff"},
        {"manifest.json": [{"Config": "c", "Layers": []}], "c": DEEP},
        {"manifest.json": [{"Config": "c", "Layers": [], "RepoTags": ["A B"]}], "c": CONFIG},
        {"manifest.json": [{"Config": "c", "Layers": [], "RepoTags": 1}], "c": CONFIG},
        {"manifest.json": [{"Config": "c", "Layers": []}] * 10_001, "c": CONFIG},
        {"manifest.json": [{"Config": "c", "Layers": []}], "c": b" " * (17 << 20)},
        {"index.json": {}},
        {"index.json": {"manifests": [{"digest": "sha256:1"}]}},
        {"index.json": {"manifests": [{"digest": "sha256:../../etc/passwd"}]}},
        {"index.json": {"manifests": [{"digest": f"sha256:{'0' * 64}"}]}},
        {"index.json": {"manifests": {"digest": 1e999}}},
        {"index.json": {"manifests": [None]}},
    ],
    ids=range(23),
)
async def test_an_archive_that_says_nonsense_is_refused(
    store: ContentStore, documents: dict[str, Any]
) -> None:
    with pytest.raises(PystackError):
        await load(store, archive(documents))
    assert list((store.root / "tmp").iterdir()) == []
    assert (store.blobs(), store.layers()) == ([], [])


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress])
async def test_an_archive_that_grows_without_end_is_given_up(
    store: ContentStore, pack: Callable[[bytes], bytes]
) -> None:
    bomb = pack(archive({"zeros": bytes(32 << 20)}))
    with pytest.raises(Failed) as caught:
        await load(store, bomb, Limits(archive_bytes=8 << 20))
    assert caught.value.code == "image-archive-too-large"
    assert list((store.root / "tmp").iterdir()) == []


async def test_an_archive_cut_short_anywhere_is_refused(store: ContentStore) -> None:
    data = await saved(store, await made(store), "docker")
    for end in range(0, data.index(b'"LayerSources"'), 397):
        for packed in (data[:end], gzip.compress(data[:end], 1)[:-4]):
            with pytest.raises(PystackError):
                await load(store, packed)
    assert list((store.root / "tmp").iterdir()) == []


async def test_a_layer_under_a_foreign_digest_is_refused(store: ContentStore) -> None:
    image = await made(store)
    data = await saved(store, image, "oci")
    forged = data.replace(b"greetings", b"greetinGs")
    assert forged != data
    other = ContentStore(store.root.parent / "other")
    with pytest.raises(Failed) as caught:
        await load(other, forged)
    assert caught.value.code == "digest-mismatch"
    assert other.layers() == []


async def test_links_in_an_archive_lead_nowhere_else(store: ContentStore, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(json.dumps(CONFIG))
    data = io.BytesIO()
    with tarfile.TarFile(fileobj=data, mode="w") as tar:
        add_file(tar, "manifest.json", json.dumps([{"Config": "c", "Layers": []}]).encode())
        add_file(tar, "c", type=tarfile.SYMTYPE, linkname=str(secret))
    with pytest.raises(InvalidInput) as caught:
        await load(store, data.getvalue())
    assert "is missing from the archive" in caught.value.message


@dataclass(frozen=True)
class Damage:
    """Where an archive is changed, and how; `mend` makes its checksums right again."""

    changes: tuple[tuple[float, bytes], ...]
    cut: float
    mend: bool

    def apply(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for where, new in self.changes:
            at = int(where * (len(changed) - len(new)))
            changed[at : at + len(new)] = new
        if self.mend:
            for start in range(0, len(changed) - 511, 512):
                if changed[start + 257 : start + 262] == b"ustar":
                    block = changed[start : start + 512]
                    total = sum(block) - sum(block[148:156]) + 8 * 32
                    changed[start + 148 : start + 156] = b"%06o\0 " % total
        return bytes(changed[: int(self.cut * len(changed))])


SOMEWHERE = st.floats(0, 1, allow_nan=False)
PIECES = st.one_of(
    st.binary(min_size=1, max_size=4),
    st.sampled_from(
        [b"\xff" * 12, b"77777777777", b"-1", b"null", b"[[[[", b'"', b"1e999", b"..//"]
    ),
)
DAMAGES = st.builds(
    Damage,
    changes=st.lists(st.tuples(SOMEWHERE, PIECES), min_size=1, max_size=6).map(tuple),
    cut=st.one_of(st.just(1.0), SOMEWHERE),
    mend=st.booleans(),
)


async def test_a_damaged_archive_is_refused_in_words_or_does_no_harm(
    isolation: Isolation, tmp_path: Path
) -> None:
    import anyio.from_thread
    import anyio.to_thread

    place = isolation.work_dir / tmp_path.name
    source = ContentStore(place / "source")
    image = await made(source)
    archives = [await saved(source, image, form) for form in ("both", "docker", "oci")]
    target = ContentStore(place / "target")

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(archives), DAMAGES)
    def each(data: bytes, damage: Damage) -> None:
        with suppress(PystackError):
            anyio.from_thread.run(load, target, damage.apply(data))
        assert list((target.root / "tmp").iterdir()) == []

    await anyio.to_thread.run_sync(each)
    # What got through is what it says it is.
    for digest in target.blobs():
        target.read_blob(digest)


def layout(algorithm: str, diff_algorithm: str = "sha256") -> bytes:
    """An OCI image layout whose every digest is of that algorithm."""
    blobs: dict[str, bytes] = {}

    def stored(media_type: str, data: bytes) -> dict[str, Any]:
        digits = hashlib.new(algorithm, data).hexdigest()
        blobs[f"blobs/{algorithm}/{digits}"] = data
        return {"mediaType": media_type, "digest": f"{algorithm}:{digits}", "size": len(data)}

    tree = archive({"hello": b"hello"})
    diff_id = f"{diff_algorithm}:{hashlib.new(diff_algorithm, tree).hexdigest()}"
    kind = "application/vnd.oci.image."
    layer = stored(f"{kind}layer.v1.tar+gzip", gzip.compress(tree))
    config = CONFIG | {"rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    manifest = {
        "schemaVersion": 2,
        "config": stored(f"{kind}config.v1+json", json.dumps(config).encode()),
        "layers": [layer],
    }
    entry = stored(f"{kind}manifest.v1+json", json.dumps(manifest).encode())
    entry["annotations"] = {"org.opencontainers.image.ref.name": "app:1"}
    return archive({**blobs, "index.json": {"manifests": [entry]}})


async def test_content_named_by_sha512_is_content_like_any_other(store: ContentStore) -> None:
    (image,) = await load(store, layout("sha512"))
    assert image.id.startswith("sha256:")
    assert image.layers[0].blob.digest.startswith("sha512:")
    assert store.has_blob(image.layers[0].blob.digest)
    assert (store.layer_dir(image.layers[0].chain_id) / "hello").read_text() == "hello"
    (again,) = await load(ContentStore(store.root.parent / "other"), await saved(store, image))
    assert (again.id, again.layers) == (image.id, image.layers)


async def test_a_diff_id_that_is_no_sha256_is_refused_in_words(store: ContentStore) -> None:
    with pytest.raises(Failed) as caught:
        await load(store, layout("sha256", "sha512"))
    assert caught.value.code == "digest-algorithm-unsupported"
    assert list((store.root / "tmp").iterdir()) == []
    with pytest.raises(Failed) as caught:
        await load(store, layout("sha256").replace(b'"sha256:', b'"md5sum:'))
    assert caught.value.code == "digest-invalid"


async def test_a_plain_layer_of_another_tool_is_kept_as_it_came(store: ContentStore) -> None:
    tree = archive({"z": b"last first", "a": b"in no order of ours"})
    diff_id = "sha256:" + hashlib.sha256(tree).hexdigest()
    config = CONFIG | {"rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    listed = [{"Config": "c.json", "Layers": ["l/layer.tar"], "RepoTags": ["app:1"]}]
    data = archive({"manifest.json": listed, "c.json": config, "l/layer.tar": tree})
    (image,) = await load(store, data)
    assert image.layers[0].blob.digest == diff_id
    assert store.blob_path(diff_id).read_bytes() == tree
    assert list((store.root / "tmp").iterdir()) == []
    other = ContentStore(store.root.parent / "other")
    assert (await load(other, await saved(store, image)))[0].id == image.id
