"""What a stream can show: colours, a width, lines redrawn in place."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TextIO

GREEN, RED, BLUE, DIM = "32", "31", "34", "2"
# One per log prefix, in Docker Compose's order; red is left to errors.
PREFIX_COLOURS = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")


class Terminal:
    """A stream, and what may be written to it."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        self.stream = stream
        dumb = environ.get("TERM") == "dumb"
        self.live = stream.isatty() and not dumb
        self.colours = self.live and not environ.get("NO_COLOR")

    def paint(self, text: str, colour: str) -> str:
        """The text in a colour, plain where there are none."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self.colours and text else text

    def size(self) -> tuple[int, int]:
        """Columns and rows, 80 by 24 where the stream does not know."""
        try:
            columns, rows = os.get_terminal_size(self.stream.fileno())
        except (OSError, ValueError):
            return 80, 24
        return columns or 80, rows or 24


@contextmanager
def raw(descriptor: int) -> Iterator[None]:
    """The terminal hands every key on as it is while the block lasts: Ctrl-C is no signal then.

    What is no terminal is left alone.
    """
    if not os.isatty(descriptor):
        yield
        return
    import termios  # noqa: PLC0415
    import tty  # noqa: PLC0415

    before = termios.tcgetattr(descriptor)
    tty.setraw(descriptor, termios.TCSANOW)
    try:
        yield
    finally:
        # Whoever hung up the terminal has taken its settings along.
        with suppress(termios.error):
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def window(descriptor: int) -> tuple[int, int] | None:
    """Rows and columns of the terminal; None where it is none, or knows no size."""
    try:
        columns, rows = os.get_terminal_size(descriptor)
    except OSError:
        return None
    return (rows, columns) if rows and columns else None
