"""A process's output as lines: handed on as they come, and the last ones kept for the error."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

_KEPT = 20
_LONGEST = 8192


class Lines:
    """Puts pieces of bytes together to lines; a carriage return starts the line again, as on a
    terminal, so a progress bar is its last state."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit
        self._rest = b""
        self.last: deque[str] = deque(maxlen=_KEPT)

    def feed(self, data: bytes) -> None:
        """Nothing; every line that data completes is emitted."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._rest) > _LONGEST:
            self.finish()

    def finish(self) -> None:
        """Nothing; a last line without an end is emitted too."""
        if self._rest:
            self._line(self._rest)
        self._rest = b""

    def _line(self, line: bytes) -> None:
        shown = line.rstrip(b"\r").rpartition(b"\r")[2]
        text = shown[:_LONGEST].decode(errors="replace")
        self.last.append(text)
        self._emit(text)
