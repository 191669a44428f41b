"""A command on a terminal of its own, driven as a person would."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

WITHIN_S = 15.0


class Terminal:
    """The person's side: what is shown, what is typed, how large the window is."""

    def __init__(self, master: int, slave: int, process: subprocess.Popen[bytes]) -> None:
        self._master = master
        self._slave = slave
        self.process = process
        self.shown = b""
        self._seen = 0

    def type(self, text: str | bytes) -> None:
        """Type the keys."""
        os.write(self._master, text.encode() if isinstance(text, str) else text)

    def expect(self, wanted: str, *, within_s: float = WITHIN_S) -> str:
        """What was shown since the last call, up to and including `wanted`."""
        deadline = time.monotonic() + within_s
        while (found := self.shown.find(wanted.encode(), self._seen)) < 0:
            assert time.monotonic() < deadline, f"no {wanted!r} in {self.shown[self._seen :]!r}"
            if not self._read(deadline - time.monotonic()):
                raise AssertionError(f"ended without {wanted!r}: {self.shown[self._seen :]!r}")
        end = found + len(wanted.encode())
        text, self._seen = self.shown[self._seen : end], end
        return text.decode(errors="replace")

    def ended(self, *, within_s: float = WITHIN_S) -> int:
        """The exit code of the command, everything it showed read."""
        deadline = time.monotonic() + within_s
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"does not end; shown: {self.shown!r}"
            self._read(0.05)
        while self._read(0.0):
            pass
        return self.process.returncode

    def resize(self, rows: int, columns: int) -> None:
        """Give the window another size; the command is told."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def settings(self) -> list[object]:
        """How the terminal is set, as `stty` would say."""
        return termios.tcgetattr(self._slave)

    def hang_up(self) -> None:
        """Close the window."""
        os.close(self._master)
        self._master = -1

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self._master], [], [], max(0.0, timeout_s))[0]:
            return timeout_s > 0 and self.process.poll() is None
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return False
        self.shown += data
        return bool(data)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for fd in (self._master, self._slave):
            with contextlib.suppress(OSError):
                os.close(fd)


@contextmanager
def on_terminal(
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    rows: int = 24,
    columns: int = 80,
) -> Iterator[Terminal]:
    """The command with a new terminal as its controlling one; killed with the block."""
    master, slave = pty.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def control() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        list(argv),
        env={**env, "TERM": "xterm"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=control,  # noqa: PLW1509 (nothing else makes a terminal the controlling one)
    )
    terminal = Terminal(master, slave, process)
    try:
        yield terminal
    finally:
        terminal.close()
