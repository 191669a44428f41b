"""Docker's stream framing: stdout and stderr of a container over one connection."""

from __future__ import annotations

STDOUT = 1
STDERR = 2
_HEADER_BYTES = 8


class Frames:
    """Bytes in, (stream, bytes) out.

    A frame is one byte for the stream, three zero bytes, four bytes of big-endian length, then
    the content. Content is handed on as it comes: a frame need not be complete.
    Source: Docker Engine API, "attach to a container", stream format.
    """

    def __init__(self) -> None:
        self._pending = b""
        self._stream = STDOUT
        self._left = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The content that `data` completes, in order."""
        self._pending += data
        content = []
        while self._pending:
            if not self._left:
                if len(self._pending) < _HEADER_BYTES:
                    break
                self._stream = self._pending[0]
                self._left = int.from_bytes(self._pending[4:_HEADER_BYTES], "big")
                self._pending = self._pending[_HEADER_BYTES:]
                continue
            part = self._pending[: self._left]
            self._pending = self._pending[len(part) :]
            self._left -= len(part)
            content.append((self._stream, part))
        return content
