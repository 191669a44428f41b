"""What goes on beside the logs that `up` follows: applying the file again when it changes, and
carrying changes of the source over. Each in a thread of its own."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.cli.session import Session

if TYPE_CHECKING:
    from orchestrator.model.stack import Stack


@contextmanager
def beside(session: Session, stack: Stack, args: argparse.Namespace) -> Iterator[None]:
    """The wished-for threads, while the block lasts."""
    stop = threading.Event()
    threads = []
    if args.follow:
        from orchestrator.cli.stack.following import follow_source  # noqa: PLC0415

        threads.append(threading.Thread(target=follow_source, args=(session, args, stop)))
    if args.watch:
        from orchestrator.cli.stack.watch import watch_source  # noqa: PLC0415

        threads.append(threading.Thread(target=watch_source, args=(session, stack, stop)))
    for thread in threads:
        thread.daemon = True
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=2)
