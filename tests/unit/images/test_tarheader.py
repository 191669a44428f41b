from __future__ import annotations

import io
import tarfile

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.images.tarheader import CHAR, END, REGULAR, SYMLINK, Entry, header, padded

NAMES = st.binary(min_size=1, max_size=300).filter(
    lambda name: b"\0" not in name and not name.endswith(b"/")
)
VALUES = st.binary(max_size=200)


def read(data: bytes) -> tarfile.TarInfo:
    with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape") as tar:
        found = tar.getmembers()
    assert len(found) == 1
    return found[0]


@settings(deadline=None)
@given(
    NAMES,
    st.integers(0, 0o7777),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(-(2**35), 2**35),
    st.binary(max_size=2000),
)
def test_another_reader_finds_what_was_written(
    name: bytes, mode: int, uid: int, gid: int, mtime: int, content: bytes
) -> None:
    entry = Entry(
        name=name, kind=REGULAR, mode=mode, uid=uid, gid=gid, mtime=mtime, size=len(content)
    )
    data = header(entry) + padded(content) + END
    assert len(data) % 512 == 0
    info = read(data)
    assert (info.mode, info.uid, info.gid, info.size) == (mode, uid, gid, len(content))
    assert info.mtime == mtime
    assert info.name.encode(errors="surrogateescape") == name


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=300).filter(lambda link: b"\0" not in link))
def test_a_long_link_target_is_kept(link: bytes) -> None:
    info = read(header(Entry(name=b"l", kind=SYMLINK, link=link)) + END)
    assert info.issym()
    assert info.linkname.encode(errors="surrogateescape") == link


def test_a_device_has_its_numbers() -> None:
    info = read(header(Entry(name=b"null", kind=CHAR, major=1, minor=3)) + END)
    assert (info.ischr(), info.devmajor, info.devminor) == (True, 1, 3)


def test_extended_attributes_are_pax_records() -> None:
    entry = Entry(name=b"f", kind=REGULAR, xattrs={b"user.b": b"2", b"user.a": b"1"})
    assert read(header(entry) + END).pax_headers == {
        "SCHILY.xattr.user.a": "1",
        "SCHILY.xattr.user.b": "2",
    }


def test_a_record_whose_length_has_one_more_digit_counts_itself_right() -> None:
    # The length field of a record grows from two digits to three around here.
    for size in range(70, 100):
        entry = Entry(name=b"f", kind=REGULAR, xattrs={b"user.x": b"v" * size})
        assert read(header(entry) + END).pax_headers == {"SCHILY.xattr.user.x": "v" * size}


def test_a_file_too_large_for_octal_has_its_size_in_a_record() -> None:
    data = header(Entry(name=b"f", kind=REGULAR, size=9 << 30))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        info = tar.next()
    assert info is not None
    assert info.size == 9 << 30
