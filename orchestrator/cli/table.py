"""Rows of text under headings, as Docker prints them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

# Source: docker/cli's formatter: a tabwriter with these two.
_GAP = 3
_NARROWEST = 10


def table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], *, narrowest: int = _NARROWEST
) -> Iterator[str]:
    """The lines of a table whose columns are as wide as their widest cell, with the gap after it,
    and `narrowest` at least; no headings, no line for them."""
    every = [headings, *rows] if headings else list(rows)
    columns = len(every[0]) if every else 0
    widths = [
        max(narrowest, max(len(row[column]) for row in every) + _GAP) for column in range(columns)
    ]
    for row in every:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "".join(cells).rstrip()


def fields(pairs: Sequence[tuple[str, str]], indent: str = "") -> Iterator[str]:
    """The lines of a list of names and values, values aligned."""
    width = max((len(name) for name, _ in pairs), default=0) + 1
    for name, value in pairs:
        yield f"{indent}{(name + ':').ljust(width)} {value}".rstrip()
