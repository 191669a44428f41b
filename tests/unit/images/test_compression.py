from __future__ import annotations

import gzip
import random
import tracemalloc

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.images.compression import Decompressor

DATA = random.Random(1).randbytes(300_000) + bytes(3 << 20) + b"end"


def decompressed(packed: bytes, step: int) -> bytes:
    found: list[bytes] = []
    decompressor = Decompressor(found.append)
    for start in range(0, len(packed), step):
        decompressor.feed(packed[start : start + step])
    decompressor.finish()
    return b"".join(found)


PACKED = {
    "plain": DATA,
    "gzip": gzip.compress(DATA),
    "gzip in members": gzip.compress(DATA[:1000]) + gzip.compress(DATA[1000:]),
    "gzip with zeros after": gzip.compress(DATA) + bytes(1000),
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress(DATA),
    "zstd in frames": zstandard.compress(DATA[:1000])
    + b"\x50\x2a\x4d\x18\x04\0\0\0skip"
    + zstandard.compress(DATA[1000:]),
    "zstd with a skippable frame first": b"\x5f\x2a\x4d\x18\x02\0\0\0ab" + zstandard.compress(DATA),
}


@pytest.mark.parametrize("step", [7919, 1 << 18, 1 << 30])
@pytest.mark.parametrize("kind", PACKED)
def test_every_form_gives_the_data_back_however_it_is_cut(kind: str, step: int) -> None:
    assert decompressed(PACKED[kind], step) == DATA


@given(st.binary(max_size=500), st.integers(1, 7))
def test_short_data_in_tiny_pieces_comes_back(data: bytes, step: int) -> None:
    assert decompressed(gzip.compress(data), step) == data
    assert decompressed(zstandard.compress(data), step) == data


def test_nothing_is_nothing() -> None:
    assert decompressed(b"", 1) == b""
    assert decompressed(b"ab", 1) == b"ab"


def test_gzip_data_that_is_cut_short_is_refused() -> None:
    with pytest.raises(ValueError, match="cut short"):
        decompressed(PACKED["gzip"][:-10], 1 << 16)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_damaged_data_is_refused(kind: str) -> None:
    packed = bytearray(PACKED[kind])
    packed[5000:5100] = bytes(100)
    with pytest.raises(ValueError, match="damaged"):
        decompressed(bytes(packed), 1 << 16)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_bomb_comes_in_bounded_pieces(pack: object) -> None:
    assert callable(pack)
    packed = pack(bytes(256 << 20))
    largest = total = 0

    def take(piece: bytes) -> None:
        nonlocal largest, total
        largest = max(largest, len(piece))
        total += len(piece)

    tracemalloc.start()
    decompressor = Decompressor(take)
    decompressor.feed(packed)
    decompressor.finish()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 256 << 20
    assert largest <= 1 << 20
    assert peak < 16 << 20
