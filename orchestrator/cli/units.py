"""Ages, sizes and durations as people read and write them. Pure."""

from __future__ import annotations

import re

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)?")
_SECONDS = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0,
    "": 1.0,
}  # fmt: skip


def size(count: float, digits: int = 3) -> str:
    """A number of bytes in decimal units: `4.26MB`; Docker has four digits where it adds up."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.{digits}g}{unit}"
        value /= 1000
    return f"{value:.{digits}g}TB"


def binary_size(count: float) -> str:
    """A number of bytes in units of 1024 with four digits: `7.656GiB`."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            return f"{value:.4g}{unit}"
        value /= 1024
    return f"{value:.4g}PiB"


def seconds_of(text: str) -> float:
    """The seconds in `90`, `1m30s`, `500ms`.

    Raises: ValueError: it is not a duration.
    """
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration such as 30, 10s or 1m30s")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def bytes_of(text: str) -> int:
    """The bytes in `512m`, `2g`, `64MiB`, `1000`: powers of 1024, as Docker's `--memory` has it.

    Raises: ValueError: it is not a size.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?", text.strip().lower())
    if match is None:
        raise ValueError(f"{text!r} is not a size such as 64m or 1g")
    return int(float(match[1]) * 1024 ** ("", "k", "m", "g", "t").index(match[2].replace("b", "")))
