"""A clock for what is compared with each other: it neither jumps nor goes back, whatever is done to
the machine's time of day, not from one engine to the next either.

It counts from the boot, sleep of the machine included, and is set by the time of day once for each
boot. As long as nobody sets the machine's clock the two agree.  Source: clock_gettime(2),
CLOCK_BOOTTIME; random(4), boot_id.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# What a clock that is kept in step by small amounts may differ by.
_UNNOTICED_S = 1.0


class Clock:
    """Seconds, as Unix counts them; `base` is the time at which the machine was booted."""

    def __init__(self, base: float) -> None:
        self.base = base

    def now(self) -> float:
        """The time now."""
        return self.base + _since_boot()

    def drift(self) -> float:
        """How far (seconds) the time of day is before this clock, because it was set; 0.0 where it
        was not."""
        drift = time.time() - self.now()
        return drift if abs(drift) > _UNNOTICED_S else 0.0


def open_clock(file: Path, latest: Callable[[], float]) -> Clock:
    """The clock that goes on where the one was that is noted in the file, and is noted there.

    `latest` is the last time that was recorded: what comes after it is later. Blocking.
    """
    boot = _BOOT_ID.read_text().strip()
    try:
        noted = json.loads(file.read_text())
        if noted["boot"] == boot:
            return Clock(float(noted["base"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # there is none yet, or it is damaged
    since_boot = _since_boot()
    clock = Clock(max(time.time(), latest() + 0.001) - since_boot)
    half = file.with_name(f"{file.name}.half")
    half.write_text(json.dumps({"boot": boot, "base": clock.base}))
    half.rename(file)
    return clock


def _since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
