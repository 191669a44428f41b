"""Layers unpacked for overlayfs and packed again, by the real kernel and the real tar."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.aio import libc
from orchestrator.errors import Failed
from orchestrator.images.built import adopt_layer
from orchestrator.images.chain import chain_id
from orchestrator.images.content import ContentStore, LayerRecord
from orchestrator.images.layertar import diff_of, stream_layer
from orchestrator.images.settle import Settling, settle_layers, settle_tree
from orchestrator.images.unpack import Unpacked, Unpacker
from orchestrator.model.image import Descriptor, Layer
from tests.support.isolation import Isolation
from tests.support.oci import add_file

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
"""cap_net_bind_service=ep, as security.capability holds it (revision 2)."""


@pytest.fixture
def store(isolation: Isolation, tmp_path: Path) -> ContentStore:
    return ContentStore(isolation.work_dir / tmp_path.name / "content")


def unpack(
    store: ContentStore, data: bytes, max_bytes: int = 1 << 30, *, keep_blob: bool = False
) -> Unpacked:
    with Unpacker(store, max_bytes, keep_blob=keep_blob) as unpacker:
        for start in range(0, len(data), 100_000):
            unpacker.feed(data[start : start + 100_000])
        return unpacker.finish()


class Tar:
    """A tar being written in memory."""

    def __init__(self) -> None:
        self._data = io.BytesIO()
        self._tar = tarfile.TarFile(fileobj=self._data, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, name: str, content: bytes = b"", **attributes: object) -> None:
        add_file(self._tar, name, content, **attributes)

    def directory(self, name: str, **attributes: object) -> None:
        add_file(self._tar, name, type=tarfile.DIRTYPE, **({"mode": 0o755} | attributes))

    def link(self, name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> None:
        add_file(self._tar, name, type=kind, linkname=target)

    def bytes(self) -> bytes:
        self._tar.close()
        return self._data.getvalue()


@contextmanager
def overlay(lowers: list[Path], directory: Path) -> Iterator[tuple[Path, Path]]:
    """A real overlay mount and its upper directory."""
    upper, work, merged = (directory / name for name in ("upper", "work", "merged"))
    for path in (upper, work, merged):
        path.mkdir(parents=True)
    options = f"lowerdir={':'.join(map(str, lowers))},upperdir={upper},workdir={work}"
    libc.mount("overlay", str(merged), "overlay", data=options + ",redirect_dir=off,metacopy=off")
    try:
        yield merged, upper
    finally:
        libc.umount(str(merged))


def listing(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything that a user of the tree could see, by path."""
    found: dict[str, tuple[object, ...]] = {}
    inodes: dict[int, str] = {}
    for path in sorted(root.rglob("*")):
        info = path.lstat()
        name = str(path.relative_to(root))
        content: object = None
        if stat.S_ISREG(info.st_mode):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        elif stat.S_ISLNK(info.st_mode):
            content = str(path.readlink())
        attributes = {
            key: os.getxattr(path, key, follow_symlinks=False)
            for key in os.listxattr(path, follow_symlinks=False)
            if not key.startswith("trusted.overlay.")
        }
        first = inodes.setdefault(info.st_ino, name) if info.st_nlink > 1 else name
        same_as = first if not stat.S_ISDIR(info.st_mode) else name
        found[name] = (
            oct(info.st_mode),
            info.st_uid,
            info.st_gid,
            info.st_rdev,
            0 if stat.S_ISDIR(info.st_mode) else int(info.st_mtime),
            content,
            same_as,
            tuple(sorted(attributes.items())),
        )
    return found


def test_owners_modes_links_devices_and_attributes_are_kept(store: ContentStore) -> None:
    tar = Tar()
    tar.directory("./", mode=0o755)
    tar.directory("d", mode=0o2750, uid=1000, gid=100)
    tar.add("d/setuid", b"x" * 5, mode=0o4755, uid=1, gid=2)
    tar.link("d/hard", "d/setuid", tarfile.LNKTYPE)
    tar.link("absolute", "/d/setuid")
    tar.link("upwards", "../../d")
    tar.add("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666)
    tar.add("fifo", type=tarfile.FIFOTYPE)
    tar.add("big-ids", uid=3_000_000_000, gid=3_000_000_001)
    tar.add(
        "server",
        b"bin",
        mode=0o755,
        pax_headers={
            "SCHILY.xattr.security.capability": CAPABILITY.decode("utf-8", "surrogateescape"),
            "SCHILY.xattr.user.note": "hello",
        },
    )
    tar.add("öffentlich/" + "n" * 200, b"long")
    unpacked = unpack(store, gzip.compress(tar.bytes()))
    root = unpacked.directory

    setuid = (root / "d/setuid").stat()
    assert (setuid.st_mode & 0o7777, setuid.st_uid, setuid.st_gid) == (0o4755, 1, 2)
    assert (root / "d/hard").stat().st_ino == setuid.st_ino
    assert int(setuid.st_mtime) == 1704067200
    parent = (root / "d").stat()
    assert (parent.st_mode & 0o7777, parent.st_uid, parent.st_gid) == (0o2750, 1000, 100)
    assert int(parent.st_mtime) == 1704067200
    assert (root / "absolute").readlink() == Path("/d/setuid")
    assert (root / "upwards").readlink() == Path("../../d")
    null = (root / "null").stat()
    assert (stat.S_ISCHR(null.st_mode), null.st_rdev) == (True, os.makedev(1, 3))
    assert stat.S_ISFIFO((root / "fifo").stat().st_mode)
    assert (root / "big-ids").stat().st_uid == 3_000_000_000
    assert os.getxattr(root / "server", "security.capability") == CAPABILITY
    assert os.getxattr(root / "server", "user.note") == b"hello"
    assert (root / "öffentlich" / ("n" * 200)).read_bytes() == b"long"
    assert unpacked.content_bytes == 5 + 3 + 4


def test_whiteouts_hide_what_lies_below(store: ContentStore, isolation: Isolation) -> None:
    below = Tar()
    for name in ("keep", "gone", "emptied/old", "replaced/old", "tree/a", "tree/b"):
        below.add(name, b"below")
    above = Tar()
    above.add(".wh.gone")
    above.directory("emptied")
    above.add("emptied/.wh..wh..opq")
    above.add("emptied/new", b"above")
    # The order in a layer does not matter: this hides what is below, never what is beside it.
    above.add("replaced/new", b"above")
    above.add(".wh.replaced")
    above.add("tree/.wh.a")
    above.add(".wh..wh.plnk", b"aufs")
    lower, upper = unpack(store, below.bytes()), unpack(store, above.bytes())
    with overlay([upper.directory, lower.directory], store.root.parent / "mount") as (merged, _):
        assert sorted(str(p.relative_to(merged)) for p in merged.rglob("*")) == [
            "emptied",
            "emptied/new",
            "keep",
            "replaced",
            "replaced/new",
            "tree",
            "tree/b",
        ]


def test_nothing_a_layer_contains_leads_out_of_its_directory(
    store: ContentStore, isolation: Isolation
) -> None:
    outside = isolation.work_dir / "outside"
    outside.mkdir(exist_ok=True)
    target = outside / "precious"
    target.write_text("untouched")
    attacks: list[Tar] = []

    dots = Tar()
    dots.add("../" * 12 + str(target).lstrip("/"), b"owned")
    attacks.append(dots)
    absolute = Tar()
    absolute.add(str(target), b"owned")
    attacks.append(absolute)
    for link in (str(outside), "../" * 12 + str(outside).lstrip("/")):
        through = Tar()
        through.link("door", link)
        through.add("door/precious", b"owned")
        through.add("door/new", b"owned")
        attacks.append(through)
    hard = Tar()
    hard.link("hard", str(target), tarfile.LNKTYPE)
    hard.add("hard", b"owned")
    attacks.append(hard)
    chained = Tar()
    chained.link("a", ".")
    chained.link("a/b", "..")
    chained.link("a/b/c", "/")
    chained.add("a/b/c" + str(target), b"owned")
    attacks.append(chained)
    programs = Tar()
    programs.link("usr", "/usr")
    programs.add("usr/bin/tar", b"owned")
    attacks.append(programs)

    tar_before = hashlib.sha256(Path("/usr/bin/tar").read_bytes()).digest()
    for attack in attacks:
        with contextlib.suppress(Failed):  # refused is as good as contained
            store.discard(unpack(store, attack.bytes()).directory)
        assert target.read_text() == "untouched"
        assert target.stat().st_nlink == 1
        assert [path.name for path in outside.iterdir()] == ["precious"]
    assert hashlib.sha256(Path("/usr/bin/tar").read_bytes()).digest() == tar_before
    assert list((store.root / "tmp").iterdir()) == []


def test_a_layer_cannot_forge_overlayfs_own_attributes(store: ContentStore) -> None:
    tar = Tar()
    forged = {"SCHILY.xattr.trusted.overlay.redirect": "/other"}
    tar.directory("d", pax_headers=forged)
    unpacked = unpack(store, tar.bytes())
    assert os.listxattr(unpacked.directory / "d") == []


def test_what_is_no_tar_is_refused_and_leaves_nothing(store: ContentStore) -> None:
    with pytest.raises(Failed) as caught:
        unpack(store, b"this is not a tar archive" * 1000)
    assert caught.value.code == "unpack-failed"
    assert list((store.root / "tmp").iterdir()) == []


def test_an_empty_layer_is_a_layer(store: ContentStore) -> None:
    for data in (bytes(1024), bytes(10240), b""):
        unpacked = unpack(store, gzip.compress(data))
        assert list(unpacked.directory.iterdir()) == []
        assert unpacked.diff_id == "sha256:" + hashlib.sha256(data).hexdigest()


def test_programs_and_mounts_of_the_jail_are_gone_afterwards(store: ContentStore) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    unpack(store, Tar().bytes())
    assert Path("/proc/self/mountinfo").read_text() == before
    assert Path.cwd().exists()


async def test_what_a_container_changed_looks_the_same_to_another_engine(
    store: ContentStore, isolation: Isolation
) -> None:
    base = Tar()
    for name in ("etc/passwd", "etc/group", "opt/app/old", "opt/app/data", "var/x"):
        base.add(name, name.encode())
    lower = unpack(store, base.bytes()).directory
    place = store.root.parent / "run"
    with overlay([lower], place) as (merged, upper):
        change(merged)
        seen = listing(merged)
    layer = await adopt_layer(store, upper, "sha256:" + "0" * 64)
    packed = b"".join(stream_layer(store.layer_dir(layer.chain_id)))
    assert "sha256:" + hashlib.sha256(packed).hexdigest() == layer.diff_id
    assert len(packed) == layer.blob.size_bytes
    assert diff_of(store.layer_dir(layer.chain_id)).diff_id == layer.diff_id

    # Here, where the directory itself became the layer …
    with overlay([*store.lowers([layer]), lower], place / "again") as (merged, _):
        assert listing(merged) == seen
    # … and there, where the tar arrives.
    other = unpack(store, packed)
    assert other.diff_id == layer.diff_id
    assert other.content_bytes == layer.size_bytes
    with overlay([other.directory, lower], place / "elsewhere") as (merged, _):
        assert listing(merged) == seen
    # What was unpacked packs to the same bytes again.
    assert diff_of(other.directory).diff_id == layer.diff_id


def change(root: Path) -> None:
    """What a build step may do to a tree."""
    (root / "etc/group").unlink()
    (root / "etc/passwd").write_text("changed")
    subprocess.run(["rm", "-r", root / "opt/app"], check=True)
    (root / "opt/app").mkdir()
    (root / "opt/app/new").write_text("new")
    (root / "bin").mkdir(mode=0o711)
    (root / "bin/tool").write_bytes(b"\x7fELF" * 1000)
    (root / "bin/tool").chmod(0o4755)
    os.link(root / "bin/tool", root / "bin/alias")
    (root / "bin/link").symlink_to("../etc/passwd")
    os.setxattr(root / "bin/tool", "security.capability", CAPABILITY)
    os.setxattr(root / "opt/app/new", "user.note", b"\x00\xff\n")
    os.mkfifo(root / "var/fifo")
    os.mknod(root / "var/zero", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    os.chown(root / "var/x", 70000, 5)
    (root / ("deep/" * 30)).mkdir(parents=True)
    (root / ("deep/" * 30) / "leaf").write_text("leaf")


async def test_the_same_layer_twice_is_stored_once(store: ContentStore) -> None:
    found: list[Layer] = []
    for _ in range(2):
        tree = store.begin_layer()
        (tree / "file").write_text("x")
        os.utime(tree / "file", (1, 1))
        found.append(await adopt_layer(store, tree, ""))
    assert found[0] == found[1]
    assert len(store.layers()) == 1
    assert list((store.root / "tmp").iterdir()) == []


def test_a_directory_that_overlayfs_redirected_is_refused_rather_than_packed_wrong(
    store: ContentStore,
) -> None:
    tree = store.begin_layer()
    (tree / "moved").mkdir()
    os.setxattr(tree / "moved", "trusted.overlay.redirect", b"old")
    with pytest.raises(Failed) as caught:
        diff_of(tree)
    assert caught.value.code == "layer-incomplete"


def layer_of(store: ContentStore, tar: Tar, below: list[Layer]) -> Layer:
    """The tar's layer in the store, on top of those below, not settled yet."""
    unpacked = unpack(store, tar.bytes())
    chain = chain_id(below[-1].chain_id if below else "", unpacked.diff_id)
    blob = Descriptor(media_type="x", digest=unpacked.diff_id, size_bytes=0)
    record = LayerRecord(
        chain_id=chain,
        diff_id=unpacked.diff_id,
        size_bytes=unpacked.content_bytes,
        blob=blob,
        implicit=unpacked.implicit,
        links=unpacked.links,
    )
    store.commit_layer(unpacked.directory, record)
    return Layer(
        blob=blob, diff_id=unpacked.diff_id, chain_id=chain, size_bytes=unpacked.content_bytes
    )


async def test_directories_that_a_layer_does_not_list_look_as_below(store: ContentStore) -> None:
    base = Tar()
    base.directory("var", mode=0o711, uid=5, gid=6)
    base.directory("var/spool", mode=0o1777, uid=7, gid=8, pax_headers={"SCHILY.xattr.user.a": "b"})
    base.directory("gone", mode=0o700)
    base.directory("emptied", mode=0o700)
    base.directory("emptied/sub", mode=0o701)
    hiding = Tar()
    hiding.add(".wh.gone")
    hiding.directory("emptied", mode=0o750)
    hiding.add("emptied/.wh..wh..opq")
    top = Tar()
    for name in ("var/spool/new/file", "gone/file", "emptied/sub/file", "listed/file"):
        top.add(name, b"x")
    top.directory("listed", mode=0o111)
    layers: list[Layer] = []
    for tar in (base, hiding, top):
        layers.append(layer_of(store, tar, layers))
    await settle_layers(store, layers)
    root = store.layer_dir(layers[-1].chain_id)

    def look(name: str) -> tuple[int, int, int, float]:
        info = (root / name).stat()
        return info.st_mode & 0o7777, info.st_uid, info.st_gid, info.st_mtime

    at = 1704067200.0
    assert look("var") == (0o711, 5, 6, at)
    assert look("var/spool") == (0o1777, 7, 8, at)
    assert os.getxattr(root / "var/spool", "user.a") == b"b"
    assert look("emptied") == (0o750, 0, 0, at)
    # New here, or hidden by a layer between: nobody says how they look.
    for name in ("var/spool/new", "gone", "emptied/sub"):
        assert look(name) == (0o755, 0, 0, 0.0), name
    assert look("listed") == (0o111, 0, 0, at)
    record = store.layer(layers[-1].chain_id)
    assert record is not None
    assert (record.implicit, record.links) == ((), ())


async def test_a_hard_link_may_lead_to_a_file_of_a_lower_layer(store: ContentStore) -> None:
    base = Tar()
    base.directory("bin", mode=0o751, uid=3)
    capability = {"SCHILY.xattr.security.capability": CAPABILITY.decode("utf-8", "surrogateescape")}
    base.add("bin/tool", b"program", mode=0o4755, uid=1, gid=2, pax_headers=capability)
    base.link("bin/soft", "tool")
    top = Tar()
    top.link('usr/bin/it\'s "a"\ntool', "bin/tool", tarfile.LNKTYPE)
    top.link("soft-too", "/bin/soft", tarfile.LNKTYPE)
    layers: list[Layer] = []
    for tar in (base, top):
        layers.append(layer_of(store, tar, layers))
    await settle_layers(store, layers)
    root = store.layer_dir(layers[-1].chain_id)
    linked, original = root / "usr/bin" / 'it\'s "a"\ntool', root / "bin/tool"
    info = original.stat()
    assert linked.stat().st_ino == info.st_ino
    assert (info.st_mode & 0o7777, info.st_uid, info.st_gid) == (0o4755, 1, 2)
    assert int(info.st_mtime) == 1704067200
    assert os.getxattr(linked, "security.capability") == CAPABILITY
    assert linked.read_bytes() == b"program"
    assert (root / "soft-too").readlink() == Path("tool")
    parent = (root / "bin").stat()
    assert (parent.st_mode & 0o7777, parent.st_uid) == (0o751, 3)
    # Once more changes nothing: an engine may be killed between the deed and its record.
    settle_tree(root, store.lowers(layers[:1]), Settling(links=(("soft-too", "bin/soft"),)))


@pytest.mark.parametrize("target", ["missing", "../../etc/passwd", "door/passwd", "bin", ".."])
async def test_a_hard_link_that_leads_nowhere_or_out_is_refused(
    store: ContentStore, target: str
) -> None:
    base = Tar()
    base.directory("bin")
    base.link("door", "/etc")
    top = Tar()
    top.link("alias", target, tarfile.LNKTYPE)
    layers = [layer_of(store, base, [])]
    with pytest.raises(Failed) as caught:
        await settle_layers(store, [*layers, layer_of(store, top, layers)])
    assert caught.value.code == "unpack-failed"
    assert Path("/etc/passwd").stat().st_nlink == 1


def test_a_whiteout_can_hide_nothing_outside_its_directory(store: ContentStore) -> None:
    for name in (".wh...", ".wh..", ".wh.", "d/.wh..."):
        tar = Tar()
        tar.add(name)
        with pytest.raises(Failed) as caught:
            unpack(store, tar.bytes())
        assert caught.value.code == "layer-damaged", name
    assert os.listxattr(store.root / "tmp") == []
    assert list((store.root / "tmp").iterdir()) == []


def test_a_whiteout_may_be_anything_but_a_file(store: ContentStore) -> None:
    tar = Tar()
    tar.directory(".wh.a")
    tar.add(".wh.a/inside", b"x")
    tar.link(".wh.b", "/etc/passwd")
    root = unpack(store, tar.bytes()).directory
    assert sorted(path.name for path in root.iterdir()) == ["a", "b"]
    assert all(stat.S_ISCHR(path.lstat().st_mode) for path in root.iterdir())
    assert Path("/etc/passwd").exists()


def test_directories_may_be_nested_deep_but_not_without_end(store: ContentStore) -> None:
    for depth in (1100, 2040):
        deep = "/".join("d" * depth)
        tar = Tar()
        tar.add(f"{deep}/leaf", b"leaf")
        if depth > 2000:
            with pytest.raises(Failed):
                unpack(store, tar.bytes())
        else:
            unpacked = unpack(store, tar.bytes())
            assert (unpacked.content_bytes, len(unpacked.implicit)) == (4, depth)
            assert diff_of(unpacked.directory).content_bytes == 4
            store.discard(unpacked.directory)
        assert list((store.root / "tmp").iterdir()) == []


def test_a_layer_of_too_many_files_is_given_up(isolation: Isolation, tmp_path: Path) -> None:
    store = ContentStore(isolation.work_dir / tmp_path.name / "content", max_layer_entries=1000)
    tar = Tar()
    for number in range(5000):
        tar.add(f"file\n{number}")
    with pytest.raises(Failed) as caught:
        unpack(store, tar.bytes())
    assert caught.value.code == "layer-too-many-files"
    assert list((store.root / "tmp").iterdir()) == []


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_a_decompression_bomb_is_given_up(
    store: ContentStore, pack: Callable[[bytes], bytes]
) -> None:
    tar = Tar()
    tar.add("zeros", bytes(64 << 20))
    bomb = pack(tar.bytes())
    assert len(bomb) < 1 << 17
    with pytest.raises(Failed) as caught:
        unpack(store, bomb, max_bytes=16 << 20)
    assert caught.value.code == "layer-too-large"
    assert list((store.root / "tmp").iterdir()) == []


def sparse(directory: Path, size: int, tar_format: str) -> bytes:
    """A tar by GNU tar of a file with a hole of that size and four bytes at its end."""
    path = directory / "holes"
    with path.open("wb") as file:
        file.seek(size - 4)
        file.write(b"data")
    command = ["tar", "-cS", f"--format={tar_format}", "--owner=0", "-C", str(directory), "holes"]
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.mark.parametrize("tar_format", ["gnu", "posix"])
def test_holes_stay_holes_and_count_with_their_size(
    store: ContentStore, tmp_path: Path, tar_format: str
) -> None:
    data = sparse(tmp_path, 1 << 30, tar_format)
    assert len(data) < 1 << 16
    unpacked = unpack(store, data, max_bytes=2 << 30)
    info = (unpacked.directory / "holes").stat()
    assert (info.st_size, unpacked.content_bytes) == (1 << 30, 1 << 30)
    assert info.st_blocks < 1000
    store.discard(unpacked.directory)
    with pytest.raises(Failed) as caught:
        unpack(store, data, max_bytes=1 << 29)
    assert caught.value.code == "layer-too-large"


@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_links_arrive_in_every_format(store: ContentStore, tar_format: int) -> None:
    data = io.BytesIO()
    long, target = "n" * 200 + "/" + "m" * 200, "t" * 300
    with tarfile.TarFile(fileobj=data, mode="w", format=tar_format) as tar:
        add_file(tar, long, b"long")
        add_file(tar, "link", type=tarfile.SYMTYPE, linkname=target)
        add_file(tar, "hard", type=tarfile.LNKTYPE, linkname=long)
    root = unpack(store, data.getvalue()).directory
    assert (root / long).read_bytes() == b"long"
    assert (root / "link").readlink() == Path(target)
    assert (root / "hard").stat().st_ino == (root / long).stat().st_ino


def test_users_of_this_machine_cannot_reach_what_layers_hold(store: ContentStore) -> None:
    tar = Tar()
    tar.add("disk", type=tarfile.BLKTYPE, devmajor=7, devminor=0, mode=0o666)
    tar.add("root-shell", b"#!/bin/sh", mode=0o4755)
    layer = layer_of(store, tar, [])
    disk = store.layer_dir(layer.chain_id) / "disk"
    assert stat.S_ISBLK(disk.stat().st_mode)  # the container's affair; its cgroup forbids the rest
    look = ["setpriv", "--reuid=65534", "--clear-groups", "ls", str(disk)]
    done = subprocess.run(look, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Permission denied" in done.stderr


def test_attributes_of_overlayfs_in_the_users_name_are_left_out(store: ContentStore) -> None:
    tar = Tar()
    forged = {"SCHILY.xattr.user.overlay.opaque": "y", "SCHILY.xattr.user.kept": "y"}
    tar.directory("d", pax_headers=forged)
    assert os.listxattr(unpack(store, tar.bytes()).directory / "d") == ["user.kept"]


PARTS = st.sampled_from(["a", "b", "..", ".", "etc", "tmp", "usr", "link", ".wh.a", ".wh..wh..opq"])
PATHS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "/", "./", "../../../"]),
        st.lists(PARTS, min_size=1, max_size=5).map("/".join),
    ),
)
KINDS = st.sampled_from([
    tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE,
    tarfile.FIFOTYPE,
])  # fmt: skip
MEMBERS = st.lists(st.tuples(KINDS, PATHS, PATHS), min_size=1, max_size=8)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    members=MEMBERS, noise=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1)), max_size=2)
)
def test_no_layer_whatever_reaches_out_or_fails_without_words(
    isolation: Isolation,
    members: list[tuple[bytes, str, str]],
    noise: list[tuple[float, bytes]],
) -> None:
    place = isolation.work_dir / "any-layer"
    store = ContentStore(place / "content")
    canary = place / "canary"
    canary.write_text("sings")
    tar = Tar()
    for kind, name, target in members:
        # Links lead to the canary now and then.
        leads_to = str(canary) if target.endswith("tmp") else target
        tar.add(name, type=kind, linkname=leads_to, devmajor=1, devminor=3)
    data = bytearray(tar.bytes())
    for where, piece in noise:
        at = int(where * (len(data) - 1))
        data[at : at + len(piece)] = piece
    before = sorted(path.name for path in (store.root).iterdir())
    with contextlib.suppress(Failed):
        unpacked = unpack(store, bytes(data))
        try:
            settle_tree(unpacked.directory, [], Settling(unpacked.implicit, unpacked.links))
            diff_of(unpacked.directory)
        finally:
            store.discard(unpacked.directory)
    assert canary.read_text() == "sings"
    assert canary.stat().st_nlink == 1
    assert list((store.root / "tmp").iterdir()) == []
    assert sorted(path.name for path in store.root.iterdir()) == before
    assert os.listxattr(store.root / "tmp") == []


def test_a_full_disk_is_told_and_nothing_stays(isolation: Isolation, tmp_path: Path) -> None:
    place = isolation.work_dir / tmp_path.name / "small"
    place.mkdir(parents=True)
    libc.mount("tmpfs", str(place), "tmpfs", data="size=2m")
    try:
        store = ContentStore(place / "content")
        tar = Tar()
        tar.add("large", os.urandom(4 << 20))
        data = tar.bytes()
        for keep_blob in (True, False):
            with pytest.raises(Failed) as caught:
                unpack(store, data, keep_blob=keep_blob)
            assert "No space left on device" in caught.value.message
            assert caught.value.code == "layer-store"
            assert list((store.root / "tmp").iterdir()) == []
    finally:
        libc.umount(str(place))
