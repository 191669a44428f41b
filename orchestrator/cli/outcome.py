"""One deed for each of several things: all are tried, failures are told, the exit code says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from orchestrator.cli.session import Session
from orchestrator.errors import PystackError, Unavailable


def each(session: Session, names: Iterable[str], do: Callable[[str], None]) -> int:
    """0 when `do` succeeded for every name, else 1; an engine that is gone ends it at once."""
    code = 0
    for name in names:
        try:
            do(name)
        except Unavailable:
            raise
        except PystackError as error:
            code = 1
            session.note(f"error: {error.message}")
            if error.hint:
                session.note(f"  {error.hint}")
    return code
