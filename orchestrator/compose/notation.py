"""Amounts in the notation of Compose's canonical form, which is Go's.

Source: Go's time.Duration.String; Docker's units.
"""

from __future__ import annotations

import math
from decimal import Decimal

from orchestrator.model.quantities import format_number

_SMALL = (("ms", 10**6), ("µs", 10**3), ("ns", 1))


def go_duration(seconds: float) -> str:
    """A duration as Go prints it: 90.0 is "1m30s", 60.0 is "1m0s", 1.5 is "1.5s"."""
    nano = round(Decimal(repr(seconds)) * 10**9)
    if nano == 0:
        return "0s"
    for unit, size in _SMALL if nano < 10**9 else ():
        if nano >= size:
            return f"{_fraction(nano, size)}{unit}"
    minutes, rest = divmod(nano, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    large = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{large}{_fraction(rest, 10**9)}s"


def cpu_count(nano: int) -> float:
    """A number of CPUs from billionths of one."""
    return nano // 10**9 if nano % 10**9 == 0 else nano / 10**9


def go_float(value: float) -> str:
    """A number as Go's %v prints it: 1.50 is "1.5", 1000000.0 is "1e+06"."""
    if value and math.isfinite(value) and Decimal(repr(value)).adjusted() in range(6, 21):
        mantissa, _, power = f"{Decimal(repr(value)).normalize():e}".partition("e+")
        return f"{mantissa}e+{power.rjust(2, '0')}"
    return format_number(value)


def microseconds(amount: float) -> float:
    """Microseconds, without a fraction where there is none."""
    return int(amount) if amount == int(amount) else amount


def _fraction(amount: int, unit: int) -> str:
    return format_number(float(Decimal(amount) / unit))
