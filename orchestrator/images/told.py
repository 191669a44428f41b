"""What GNU tar says while it unpacks: a line for each member, which are counted, and complaints."""

from __future__ import annotations

import os
import re
import subprocess
import threading

_READ = 1 << 16
_COMPLAINT_MAX = 256 << 10
_SHOWN_MAX = 2000
# As GNU tar 1.29 to 1.35 write it in the C locale with --quoting-style=c.
_LINK = re.compile(
    rb'tar: "((?:[^"\\]|\\.)*)": Cannot hard link to '
    rb"(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"): No such file or directory"
)
_HARMLESS = (b"tar: Removing leading ", b"tar: Exiting with failure status")
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_LETTERS = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t",
            b"v": b"\v"}  # fmt: skip


class Told:
    """Listens to a running tar; `too_many` says that it had more members than allowed, and was
    killed for it."""

    def __init__(self, child: subprocess.Popen[bytes], max_entries: int) -> None:
        assert child.stdout is not None
        assert child.stderr is not None
        self._child = child
        self._names = child.stdout
        self._complaints = child.stderr
        self._left = max_entries
        self._said = b""
        self.too_many = False
        self._threads = [
            threading.Thread(target=run, name="layer-messages", daemon=True)
            for run in (self._count, self._listen)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def complaint(self) -> str:
        """The first of what it complained of."""
        return self._said[:_SHOWN_MAX].decode(errors="replace").strip()

    @property
    def disk_is_full(self) -> bool:
        """Whether it complained of that; a write that was done in part is how it begins."""
        return b"No space left on device" in self._said or b": Wrote only " in self._said

    def close(self) -> None:
        """Nothing, once tar, which must have ended or be ending, has been listened to."""
        for thread in self._threads:
            thread.join()
        self._names.close()
        self._complaints.close()

    def links_elsewhere(self) -> tuple[tuple[str, str], ...] | None:
        """The hard links whose targets it did not find, each with its target; None where it had
        something else to complain of."""
        if len(self._said) >= _COMPLAINT_MAX:
            return None
        links: list[tuple[str, str]] = []
        for line in self._said.splitlines():
            if match := _LINK.fullmatch(line):
                target = match[2] if match[2] is not None else match[3]
                links.append((_unquoted(match[1]), _unquoted(target)))
            elif line and not line.startswith(_HARMLESS):
                return None
        return tuple(links) or None

    def _count(self) -> None:
        while data := self._names.read(_READ):
            self._left -= data.count(b"\n")
            if self._left < 0 and not self.too_many:
                self.too_many = True
                self._child.kill()

    def _listen(self) -> None:
        while data := self._complaints.read(_READ):
            # Its pipe is emptied to the end, or tar would wait for ever.
            self._said = (self._said + data)[:_COMPLAINT_MAX]


def _unquoted(text: bytes) -> str:
    def plain(match: re.Match[bytes]) -> bytes:
        what = match[1]
        return bytes([int(what, 8) & 0xFF]) if len(what) == 3 else _LETTERS.get(what, what)

    return os.fsdecode(_ESCAPE.sub(plain, text))
