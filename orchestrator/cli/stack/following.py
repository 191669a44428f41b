"""`up --follow`: the stack as its files say, whenever they change."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path

from orchestrator.cli.outcome import error_lines
from orchestrator.cli.session import Session
from orchestrator.cli.stack.request import chosen, up_body
from orchestrator.cli.stack.sources import changes
from orchestrator.cli.stack.wish import wish
from orchestrator.errors import PystackError


def follow_source(session: Session, args: argparse.Namespace, stop: threading.Event) -> None:
    """Nothing, once `stop` is set. An edit that is not valid is told, and nothing else done."""
    _, loaded = chosen(session, args)
    watched = {Path(path) for path in loaded.sources}
    for changed in changes(lambda: watched, stop, below=False):
        if not changed & watched:
            continue
        try:
            stack, loaded = chosen(session, args)
            session.note(f"applying {', '.join(sorted(p.name for p in changed & watched))}")
            watched.update(Path(path) for path in loaded.sources)
            wish(session, stack.name, "up", up_body(stack, loaded, args), quiet=True)
        except PystackError as error:
            session.note("the running stack is left as it is:")
            for line in error_lines(error):
                session.note(line)
