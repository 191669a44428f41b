"""A process's output as lines: handed on as they come, and the last ones kept for the error."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

_KEPT = 20
_LONGEST = 8192


class Lines:
    """Puts pieces of bytes of several streams together to lines; a carriage return starts the line
    again, as on a terminal, so a progress bar is its last state."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit
        self._rests: dict[int, bytes] = {}
        self.last: deque[str] = deque(maxlen=_KEPT)

    def feed(self, stream: int, data: bytes) -> None:
        """Nothing; every line that data completes is emitted."""
        *lines, rest = (self._rests.pop(stream, b"") + data).split(b"\n")
        for line in lines:
            self._line(line)
        if len(rest) > _LONGEST:
            self._line(rest)
        elif rest:
            self._rests[stream] = rest

    def finish(self) -> None:
        """Nothing; last lines without an end are emitted too."""
        for rest in self._rests.values():
            self._line(rest)
        self._rests.clear()

    def _line(self, line: bytes) -> None:
        shown = line.rstrip(b"\r").rpartition(b"\r")[2]
        text = shown[:_LONGEST].decode(errors="replace")
        self.last.append(text)
        self._emit(text)
