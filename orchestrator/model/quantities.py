"""Amounts as people write them ("512m", "1m30s", "0.5"), read as numbers.

Sizes are bytes with binary multiples, as Docker reads them; durations are seconds, in the
notation of Go's time.ParseDuration; CPUs are counted in billionths.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal, InvalidOperation

from orchestrator.errors import InvalidInput

_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?|\.\d+) ?(?P<unit>[kmgtp]?)(?:i?b)?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_PART = re.compile(r"(?P<number>\d+(?:\.\d*)?|\.\d+)(?P<unit>ns|us|µs|μs|ms|s|m|h)")
_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_LARGEST = 2**63 - 1


def parse_bytes(text: str | float) -> int:
    """The size in bytes of "512m", "1.5GiB", "1 kb" or a plain number; a fraction is cut off.

    Raises: InvalidInput(code="invalid-size").  Source: Docker's units.RAMInBytes.
    """
    if isinstance(text, (int, float)):
        if 0 <= text <= _LARGEST:
            return int(text)
    elif match := _SIZE.fullmatch(text.strip()):
        size = int(Decimal(match["number"]) * 1024 ** _POWERS[match["unit"].lower()])
        if size <= _LARGEST:
            return size
    raise InvalidInput(
        f'"{text}" is not a size',
        code="invalid-size",
        about=str(text),
        hint="write a number of bytes, or one with k, m, g, t: 512m",
    )


def parse_duration(text: str) -> float:
    """The seconds in "1m30s", "1.5h", "250ms" or "0"; units fall or not, as Go allows.

    Raises: InvalidInput(code="invalid-duration").  Source: Go's time.ParseDuration.
    """
    body = text.strip()
    if body == "0":
        return 0.0
    total, end = Decimal(0), 0
    for match in _PART.finditer(body):
        if match.start() != end:
            break
        total += Decimal(match["number"]) * _NANOSECONDS[match["unit"]]
        end = match.end()
    if not body or end != len(body) or total > _LARGEST:
        raise InvalidInput(
            f'"{text}" is not a duration',
            code="invalid-duration",
            about=text,
            hint="write a number with us, ms, s, m or h: 1m30s",
        )
    return float(total.to_integral_value() / 10**9)


def parse_cpus(text: str | float) -> int:
    """Billionths of a CPU in "0.5", "2" or a number.

    Raises: InvalidInput(code="invalid-cpus").
    """
    try:
        count = Decimal(str(text).strip())
        nano = int(count * 10**9) if count.is_finite() else -1
    except InvalidOperation:
        nano = -1
    if not 0 <= nano <= _LARGEST:
        raise InvalidInput(
            f'"{text}" is not a number of CPUs',
            code="invalid-cpus",
            about=str(text),
            hint="write a number such as 0.5 or 2",
        )
    return nano


def format_number(value: float) -> str:
    """A number the way Go prints it: 1.0 is "1", 1.50 is "1.5", 1e21 is "1e+21"."""
    if isinstance(value, int):
        return str(value)
    if math.isinf(value) or math.isnan(value):
        return {"inf": "+Inf", "-inf": "-Inf"}.get(str(value), "NaN")
    exponent = Decimal(repr(value)).adjusted()
    if value and not -5 < exponent < 21:
        digits = repr(value)
        mantissa, _, power = f"{Decimal(digits):e}".partition("e")
        if "." in mantissa:
            mantissa = mantissa.rstrip("0").rstrip(".")
        return f"{mantissa}e{power[0]}{power[1:].rjust(2, '0')}"
    return f"{Decimal(repr(value)):f}".removesuffix(".0")
