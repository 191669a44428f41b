"""An engine whose time of day is off by what a file says, in seconds, and jumps when that changes.

PYSTACK_TEST_CLOCK names the file. Only this process is fooled: neither conmon nor containers are.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


class TimeOfDay:
    """The time of day, off by what the file says now."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._real = time.time

    def now(self) -> float:
        try:
            return self._real() + float(self._file.read_text())
        except (FileNotFoundError, ValueError):
            return self._real()


def main() -> int:
    """Run the engine; its exit code."""
    # Before anything of the engine is imported, or it would have the true one already.
    time.time = TimeOfDay(Path(os.environ["PYSTACK_TEST_CLOCK"])).now
    from orchestrator.daemon import main as run_engine

    return run_engine()


if __name__ == "__main__":
    sys.exit(main())
