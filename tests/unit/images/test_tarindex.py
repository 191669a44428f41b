"""A tar's files are found in every format, and a broken tar is nothing worse than a ValueError."""

from __future__ import annotations

import io
import tarfile
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.images import tarheader
from orchestrator.images.tarheader import Entry
from orchestrator.images.tarindex import Member, index
from tests.support.oci import add_file

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=300)


def find(data: bytes) -> dict[str, bytes]:
    """The content of every file of the tar, by name."""
    members = index(lambda offset, size: data[offset : offset + size])
    return {name: data[m.offset : m.offset + m.size] for name, m in members.items()}


def packed(files: dict[str, bytes], tar_format: int) -> bytes:
    data = io.BytesIO()
    with tarfile.TarFile(fileobj=data, mode="w", format=tar_format) as tar:
        for name, content in files.items():
            add_file(tar, name, content)
    return data.getvalue()


@pytest.mark.parametrize(
    "tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
)
def test_files_are_found_in_every_format(tar_format: int) -> None:
    files = {"manifest.json": b"[]", "d/" + "n" * 60 + "/" + "m" * 90: b"x" * 700, "empty": b""}
    if tar_format != tarfile.USTAR_FORMAT:
        files |= {"l" * 260: b"long", "größe": b"\xff"}
    assert find(packed(files, tar_format)) == files


@settings(deadline=None)
@given(st.dictionaries(NAMES, st.binary(max_size=1500), max_size=4))
def test_it_agrees_with_the_standard_library(files: dict[str, bytes]) -> None:
    data = packed(files, tarfile.PAX_FORMAT)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert len(tar.getmembers()) == len(files)
    # Names that are the same path are one file, the last; a name of dots alone is the top.
    assert set(find(data).values()) <= set(files.values())
    if all(name.strip("/.") == name and "//" not in name for name in files):
        normal = {name for name in files if "/./" not in name and "/../" not in name}
        assert normal <= set(find(data))


def test_names_cannot_lead_upwards_and_dots_do_not_count() -> None:
    files = {"./a/./b": b"1", "../../c": b"2", "/d": b"3", "e/../f": b"4"}
    assert find(packed(files, tarfile.PAX_FORMAT)) == {
        "a/b": b"1",
        "c": b"2",
        "d": b"3",
        "f": b"4",
    }


def test_links_stand_for_what_they_lead_to() -> None:
    data = io.BytesIO()
    with tarfile.TarFile(fileobj=data, mode="w") as tar:
        add_file(tar, "one/layer.tar", b"layer")
        add_file(tar, "two/layer.tar", type=tarfile.SYMTYPE, linkname="../one/layer.tar")
        add_file(tar, "three/layer.tar", type=tarfile.LNKTYPE, linkname="one/layer.tar")
        add_file(tar, "out", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add_file(tar, "loop", type=tarfile.SYMTYPE, linkname="loop")
    assert find(data.getvalue()) == {
        "one/layer.tar": b"layer",
        "two/layer.tar": b"layer",
        "three/layer.tar": b"layer",
    }


def test_a_size_beyond_octal_is_read() -> None:
    size = 20 << 30
    head = tarheader.header(Entry(name=b"big", kind=tarheader.REGULAR, size=size))
    end = len(head) + size

    def read(offset: int, count: int) -> bytes:
        return head[offset : offset + count] if offset < len(head) else bytes(count)

    assert index(read) == {"big": Member(len(head), size)}
    assert end > size


def test_what_is_no_tar_or_a_part_of_one_is_an_error() -> None:
    whole = packed({"a": b"x" * 600}, tarfile.PAX_FORMAT)
    for data in (b"", b"no tar" * 1000, whole[:100], whole[:1000], b"\xff" * 512):
        with pytest.raises(ValueError, match=r"."):
            find(data)
    assert find(whole[: 512 + 1024]) == {"a": b"x" * 600}  # without its end mark
    assert find(bytes(1024)) == {}


def test_an_endless_name_is_not_read() -> None:
    entry = Entry(name=b"././@LongLink", kind=b"L", size=1 << 30)
    with pytest.raises(ValueError, match="too large"):
        find(tarheader.header(entry))


@settings(deadline=None)
@given(st.data())
def test_a_damaged_tar_is_a_value_error_at_most(data: st.DataObject) -> None:
    whole = bytearray(packed({"n" * 150: b"x" * 100, "manifest.json": b"{}"}, tarfile.PAX_FORMAT))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        # With the checksums right, whatever a header says is looked at.
        for start in range(0, len(whole) - 511, 512):
            block = whole[start : start + 512]
            total = sum(block) - sum(block[148:156]) + 8 * 32
            whole[start + 148 : start + 156] = b"%06o\0 " % total
    with suppress(ValueError):
        find(bytes(whole))


@settings(deadline=None)
@given(st.binary(max_size=2000))
def test_noise_is_a_value_error_at_most(noise: bytes) -> None:
    with suppress(ValueError):
        find(noise)
