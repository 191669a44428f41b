"""Rows of text under headings, as Docker prints them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_GAP = "   "


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table whose columns are as wide as their widest cell."""
    every = [headings, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(headings))]
    for row in every:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield _GAP.join(cells).rstrip()


def fields(pairs: Sequence[tuple[str, str]], indent: str = "") -> Iterator[str]:
    """The lines of a list of names and values, values aligned."""
    width = max((len(name) for name, _ in pairs), default=0) + 1
    for name, value in pairs:
        yield f"{indent}{(name + ':').ljust(width)} {value}".rstrip()
