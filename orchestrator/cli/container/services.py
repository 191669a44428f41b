"""The second meaning of a container's name: a service of the stack file in scope."""

from __future__ import annotations

from orchestrator.cli.session import Session
from orchestrator.errors import NotFound, PystackError


def stack_with(session: Session, service: str) -> str:
    """The name of the stack in scope that has this service; "" where there is none.

    A stack file that is broken is told of only when it is what the command is about, so here it
    is as good as none.
    """
    from orchestrator.cli.stack import file  # noqa: PLC0415  (only for names that nobody has)

    if not file.has_file(session):
        return ""
    try:
        stack = file.read(session).stack
    except PystackError:
        return ""
    return stack.name if stack.service(service) is not None else ""


def or_service(
    session: Session, name: str, error: PystackError, verb: str, grace_s: float | None
) -> None:
    """Change the service of that name instead of the container that is not there.

    Raises: `error` itself, where it is another one or no such service is in scope.
    """
    stack = stack_with(session, name) if isinstance(error, NotFound) else ""
    if not stack:
        raise error
    from orchestrator.cli.stack.lifecycle import change  # noqa: PLC0415

    change(session, stack, verb, [name], grace_s)
