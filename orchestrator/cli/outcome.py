"""How a command says what went wrong, for one thing or for several."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from orchestrator.cli.session import Session
from orchestrator.errors import PystackError, Unavailable


def tell(session: Session, error: PystackError) -> None:
    """The error on stderr, and what to do about it."""
    for line in error_lines(error):
        session.note(line)


def error_lines(error: PystackError) -> list[str]:
    """`error: message`, then the hint.

    The lines of an invalid stack file stay as they are: they begin with file:line:column, so that
    editors can jump there.
    """
    first = error.message if error.code == "stack-invalid" else f"error: {error.message}"
    return [first, *(f"  {line}" for line in error.hint.splitlines())]


def each(session: Session, names: Iterable[str], do: Callable[[str], None]) -> int:
    """0 when `do` succeeded for every name, else 1; all are tried unless the engine is gone."""
    code = 0
    for name in names:
        try:
            do(name)
        except Unavailable:
            raise
        except PystackError as error:
            code = 1
            tell(session, error)
    return code
