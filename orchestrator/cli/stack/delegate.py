"""Commands about services that are Docker's commands on their containers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.cli import containers
from orchestrator.cli.session import Session
from orchestrator.cli.stack import file
from orchestrator.errors import NotFound


def docker(session: Session, name: str, words: Sequence[str]) -> int:
    """The exit code of Docker's command of that name with these words."""
    from orchestrator.cli.commands import DOCKER, load  # noqa: PLC0415  (it imports us)
    from orchestrator.cli.options import Parser  # noqa: PLC0415

    command = load(DOCKER[name])
    parser = Parser(prog=f"pystack {name}", allow_abbrev=False, add_help=False)
    command.arguments(parser)
    return command.run(session, parser.parse_args(list(words)))


def of_services(
    session: Session, services: Sequence[str], *, running: bool = False, index: int = 0
) -> list[dict[str, Any]]:
    """The containers of the stack in scope, or of some of its services; `index` is the number of
    the one wanted of each.

    Raises: NotFound: a service that was named has none.
    """
    stack = file.project(session)
    found = [
        c
        for c in containers.of_stack(session, stack, services)
        if (not running or c.get("State") in ("running", "paused"))
        and (not index or containers.label(c, containers.NUMBER) == str(index))
    ]
    for service in services:
        if not any(containers.label(c, containers.SERVICE) == service for c in found):
            what = "running container" if running else "container"
            which = f" {index}" if index else ""
            raise NotFound(
                f"service {service!r} of stack {stack} has no {what}{which}",
                code="no-such-service",
                about=service,
                hint=f"pystack -p {stack} ps -a lists them",
            )
    return found


def one_of(session: Session, service: str, index: int = 0, *, running: bool = True) -> str:
    """The id of the service's container with that number, the first where it is 0.

    Raises: NotFound.
    """
    found = of_services(session, [service], running=running, index=index)
    return containers.identifier(found[0], whole=True)


def ids(found: Sequence[dict[str, Any]]) -> list[str]:
    """The whole ids of listed containers."""
    return [containers.identifier(c, whole=True) for c in found]


def names(found: Sequence[dict[str, Any]]) -> list[str]:
    """The names of listed containers."""
    return [containers.name(c) for c in found]
