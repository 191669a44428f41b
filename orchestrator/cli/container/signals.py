"""What this process' signals mean while it stands in for a container's process."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

from orchestrator.cli.terminal import window
from orchestrator.errors import PystackError

# Not handed on: this process' own business (its children, its pipes, its window, job control),
# and what the kernel says of its own faults.
_OWN = frozenset(
    {
        *(signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG, signal.SIGWINCH),
        *(signal.SIGKILL, signal.SIGSTOP, signal.SIGTSTP, signal.SIGCONT),
        *(signal.SIGTTIN, signal.SIGTTOU, signal.SIGSEGV, signal.SIGILL, signal.SIGBUS),
        *(signal.SIGFPE, signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS),
    }
)
_ENDING = (signal.SIGTERM, signal.SIGHUP)
ENDING = frozenset({signal.SIGINT, signal.SIGQUIT, *_ENDING})
"""What asks a process to end."""
# Asked this often to end, this process does, whatever the container makes of it, as Docker's.
_PATIENCE = 3


@contextmanager
def handed_on(kill: Callable[[int], None], *, proxy: bool) -> Iterator[None]:
    """With `proxy` every signal goes to the container by `kill` while the block lasts; else those
    that would end this process end it in order, so that its terminal is restored."""

    asked_to_end = 0

    def hand_on(number: int, _: object) -> None:
        nonlocal asked_to_end
        asked_to_end += number in (signal.SIGINT, signal.SIGTERM)
        if asked_to_end == _PATIENCE:
            sys.stderr.write(f"got {_PATIENCE} SIGTERM/SIGINTs, forcefully exiting\n")
            raise SystemExit(1)
        # The container may not run yet, or no more: then there is nobody to hand it to.
        with suppress(PystackError):
            kill(number)

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    numbers = signal.valid_signals() - _OWN if proxy else _ENDING
    with _handling(numbers, hand_on if proxy else end):
        yield


class Ending:
    """What ends this process while the block lasts: Ctrl-C, SIGTERM or SIGHUP, as SystemExit.

    While it is `held` a first one waits, and is in `number` then.
    """

    def __init__(self) -> None:
        self.number = 0
        self._holds = False
        self._handling: AbstractContextManager[None] = nullcontext()

    def __enter__(self) -> Ending:
        # What is ignored, as below nohup, stays so.
        numbers = [n for n in (signal.SIGINT, *_ENDING) if signal.getsignal(n) != signal.SIG_IGN]
        self._handling = _handling(numbers, self._asked)
        self._handling.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._handling.__exit__(None, None, None)

    @contextmanager
    def held(self) -> Iterator[None]:
        self._holds = True
        try:
            yield
        finally:
            self._holds = False

    def _asked(self, number: int, _: object) -> None:
        first, self.number = not self.number, number
        if not (self._holds and first):
            raise SystemExit(128 + number)


@contextmanager
def window_followed(descriptor: int, resize: Callable[[int, int], None]) -> Iterator[None]:
    """`resize` is called with rows and columns, now and whenever the terminal's size changes."""

    def follow(*_: object) -> None:
        if (size := window(descriptor)) is not None:
            # The process may have ended, or the engine be away for a moment.
            with suppress(PystackError):
                resize(*size)

    with _handling([signal.SIGWINCH], follow):
        follow()
        yield


@contextmanager
def _handling(numbers: Iterable[int], handler: Callable[[int, Any], None]) -> Iterator[None]:
    before = {}
    for number in numbers:
        with suppress(OSError, ValueError):  # the C library keeps a few for itself
            before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, handled in before.items():
            signal.signal(number, handled if handled is not None else signal.SIG_DFL)
