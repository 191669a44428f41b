"""Decompression of layers as they stream: gzip, zstd, or none, known by their first bytes.

Output comes in pieces of bounded size, whatever a hostile layer was compressed from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any, cast

import zstandard
from zlib_ng import zlib_ng

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = tuple(bytes([0x50 + n, 0x2A, 0x4D, 0x18]) for n in range(16))
_PIECE = 1 << 20
_LARGEST_WINDOW = 1 << 27
_GZIP_ERROR: Any = zlib_ng.error  # typed as an instance in the package's stubs

Emit = Callable[[bytes], None]


class Decompressor:
    """Feeds what it is fed, decompressed, to `emit`.

    Raises (feed and finish): ValueError: the data is damaged or cut short.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._head = b""
        self._decoder: _Gzip | _Zstd | _Plain | None = None

    def feed(self, data: bytes) -> None:
        if self._decoder is None:
            data = self._head + data
            if len(data) < 4:
                self._head = data
                return
            self._decoder = self._chosen(data)
        self._decoder.feed(data)

    def finish(self) -> None:
        if self._decoder is None:
            if self._head:
                self._emit(self._head)
            return
        self._decoder.finish()

    def _chosen(self, head: bytes) -> _Gzip | _Zstd | _Plain:
        if head.startswith(_GZIP):
            return _Gzip(self._emit)
        if head.startswith((_ZSTD, *_SKIPPABLE)):
            return _Zstd(self._emit)
        return _Plain(self._emit)


class _Plain:
    def __init__(self, emit: Emit) -> None:
        self.feed = emit

    def finish(self) -> None:
        pass


class _Gzip:
    """Several members in a row are one stream (RFC 1952, 2.2); zeros may follow the last."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._member: Any = zlib_ng.decompressobj(wbits=31)
        self._ended = False

    def feed(self, data: bytes) -> None:
        while data:
            if self._ended:
                data = data.lstrip(b"\0")
                if not data:
                    return
                self._member, self._ended = zlib_ng.decompressobj(wbits=31), False
            try:
                piece = self._member.decompress(data, _PIECE)
            except _GZIP_ERROR as error:
                raise ValueError(f"damaged gzip data: {error}") from error
            if piece:
                self._emit(piece)
            if self._member.eof:
                self._ended = True
                data = self._member.unused_data
            else:
                data = self._member.unconsumed_tail
                if not data and len(piece) == _PIECE:
                    self._rest()

    def finish(self) -> None:
        self._rest()
        if not self._ended:
            raise ValueError("gzip data is cut short")

    def _rest(self) -> None:
        """Output that the decoder still holds although it has taken all input."""
        while not self._member.eof:
            piece = self._member.decompress(b"", _PIECE)
            if not piece:
                break
            self._emit(piece)
        self._ended = bool(self._member.eof)


class _Zstd:
    """Frames in a row are one stream (RFC 8878, 3.1), skippable ones between them are passed over.

    The library's stream writer is used because it alone bounds its output: its one-call decoder
    makes 256 MiB of zeros from 8 KiB at once. It does not tell when data is cut short; digests do,
    and tar's own end mark.
    """

    def __init__(self, emit: Emit) -> None:
        decoder = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
        sink = cast("IO[bytes]", _Sink(emit))
        self._writer = decoder.stream_writer(sink, write_size=_PIECE, closefd=False)

    def feed(self, data: bytes) -> None:
        try:
            self._writer.write(data)
        except zstandard.ZstdError as error:
            raise ValueError(f"damaged zstd data: {error}") from error

    def finish(self) -> None:
        pass


class _Sink:
    """As much of a file as the stream writer wants."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def write(self, data: bytes) -> int:
        self._emit(bytes(data))
        return len(data)
