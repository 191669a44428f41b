"""Telling the engine what is wanted of a stack, and showing how it comes about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.cli.progress import TICK_S, board, watch
from orchestrator.cli.session import Session
from orchestrator.cli.stack import file
from orchestrator.cli.terminal import Terminal
from orchestrator.client.engine import quote
from orchestrator.errors import InvalidInput

if TYPE_CHECKING:
    from orchestrator.compose.load import Loaded
    from orchestrator.model.stack import Stack


def wish(
    session: Session, stack: str, verb: str, body: Mapping[str, Any], *, quiet: bool = False
) -> dict[str, Any]:
    """What the engine says when the wish is met: `changed`, `warnings`; progress goes to stderr,
    and the warnings after it.

    Raises: PystackError: the wish can't be met; the engine says why.
    """
    path = f"/pystack/v1/stacks/{quote(stack)}/{verb}"
    stream = session.engine.lines("POST", path, body=dict(body), tick_s=TICK_S)
    terminal = Terminal(session.stderr, session.environ)
    result = watch(stream, board(terminal, "" if quiet else f"{verb} {stack}"))
    for warning in result.get("warnings") or ():
        session.note(f"warning: {warning}")
    return result


def sent(stack: Stack, loaded: Loaded) -> dict[str, Any]:
    """The stack, and the contents of its configs and secrets, as the engine takes them.

    Raises: StackInvalid: one of these cannot be read.
    """
    from base64 import b64encode  # noqa: PLC0415

    contents = {
        source: b64encode(content).decode() for source, content in loaded.read_contents().items()
    }
    return {"stack": file.as_json(stack), "contents": contents}


def check_services(stack: Stack, names: Sequence[str]) -> None:
    """Nothing, where the stack has services of all these names.  Raises: InvalidInput."""
    for name in names:
        if stack.service(name) is None:
            raise InvalidInput(
                f"stack {stack.name} has no service {name!r}",
                code="no-such-service",
                about=name,
                hint=f"its services are {', '.join(service.name for service in stack.services)}",
            )
