"""An engine that dies by SIGKILL just before its Nth deed after a wish was recorded.

PYSTACK_TEST_KILL_AT is N, 0 for never; PYSTACK_TEST_POINTS is a file that gets a line for each
deed: a record written, a mount, a packet to the kernel, a firewall transaction, a child process, a
file made, moved or removed.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from orchestrator.aio.points import EVENT

_OF_PYTHON = ("subprocess.Popen", "os.kill", "signal.pidfd_send_signal")
_OF_FILES = (
    "os.rename",
    "os.mkdir",
    "os.remove",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.chown",
    "os.chmod",
    "shutil.rmtree",
)


class Mortality:
    """Counts deeds from the first wish on."""

    def __init__(self, kill_at: int, log: int, place: str) -> None:
        self._kill_at = kill_at
        self._log = log
        self._place = place
        self._armed = False
        self._count = 0

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        """Nothing, or the end of this process."""
        if event == EVENT:
            what = " ".join(map(str, args))
            self._armed = self._armed or what == "record stacks"
        elif event in _OF_PYTHON:
            what = event
        elif event in _OF_FILES and str(args[0]).startswith(self._place):
            what = f"{event} {args[0]}"
        else:
            return
        if not self._armed or (self._kill_at and self._count >= self._kill_at):
            return
        self._count += 1
        os.write(self._log, f"{self._count} {what}\n".encode())
        if self._count == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    """Run the engine; its exit code."""
    log = os.open(os.environ["PYSTACK_TEST_POINTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    kill_at = int(os.environ["PYSTACK_TEST_KILL_AT"])
    place = os.path.dirname(os.environ["PYSTACK_DATA_DIR"])  # noqa: PTH120 (a prefix, no path)
    sys.addaudithook(Mortality(kill_at, log, place).hear)
    from orchestrator.daemon import main as run_engine

    return run_engine()


if __name__ == "__main__":
    sys.exit(main())
