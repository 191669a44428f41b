"""`inspect`: one thing or several as the engine describes them, whatever they are.

What is there is printed even where something else is missing, which is told then.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from orchestrator.cli.command import Command
from orchestrator.cli.format import Format
from orchestrator.cli.options import UsageError
from orchestrator.cli.outcome import tell
from orchestrator.cli.session import Session
from orchestrator.client.engine import quote
from orchestrator.errors import NotFound, PystackError, Unavailable

Find = Callable[[str], Any]
# In the order in which a name is looked for.
_PATHS = {
    "container": "/containers/{}/json",
    "image": "/images/{}/json",
    "network": "/networks/{}",
    "volume": "/volumes/{}",
    "secret": "/secrets/{}",
    "config": "/configs/{}",
}
_ABSENT_HERE = ("node", "plugin", "service", "task")


def inspect_arguments(parser: argparse.ArgumentParser, what: str = "NAME|ID") -> None:
    """Declare what every `inspect` takes; the things are in `names`."""
    add = parser.add_argument
    add("-f", "--format", default="", metavar="FORMAT", help="json or a Go template: '{{.Id}}'")
    add("names", nargs="+", metavar=what, help="names or ids")


def inspect(session: Session, names: Iterable[str], find: Find, form: str = "") -> int:
    """0 when `find` found every one, else 1; all that were found are printed.

    Raises: TemplateError: `form` cannot be read, or asks for what a thing does not have.
    """
    shape = Format(form) if form else None
    found: list[Any] = []
    errors: list[PystackError] = []
    for name in names:
        try:
            found.append(find(name))
        except Unavailable:
            raise
        except PystackError as error:
            errors.append(error)
    if shape is None:
        session.say(json.dumps(found, indent=4, ensure_ascii=False))
    else:
        for value in found:
            session.say(shape.line(value))
    session.stdout.flush()
    for problem in errors:
        tell(session, problem)
    return 1 if errors else 0


def one(session: Session, kind: str, **query: object) -> Find:
    """How a thing of this kind is found by its name."""
    return lambda name: session.engine.get(_PATHS[kind].format(quote(name)), **query)


def _of_any_kind(session: Session, kinds: Iterable[str], *, size: bool) -> Find:
    chosen = list(kinds)

    def find(name: str) -> Any:
        for kind in chosen:
            query: Mapping[str, object] = {"size": size} if kind == "container" and size else {}
            try:
                return one(session, kind, **query)(name)
            except NotFound:
                continue
        what = chosen[0] if len(chosen) == 1 else "object"
        raise NotFound(
            f"no such {what}: {name}",
            code="no-such-object",
            about=name,
            hint="`pystack ps -a`, `images`, `network ls` and `volume ls` list what there is",
        )

    return find


def _arguments(parser: argparse.ArgumentParser) -> None:
    inspect_arguments(parser)
    add = parser.add_argument
    add("-s", "--size", action="store_true", help="what a container has written, too")
    add("--type", default="", metavar="TYPE", help=f"only {', '.join(_PATHS)}")


def _inspect(session: Session, args: argparse.Namespace) -> int:
    if args.type and args.type not in _PATHS:
        if args.type in _ABSENT_HERE:
            raise NotFound(
                f"there are no things of type {args.type} here: this is not a swarm",
                code="no-such-type",
                about=args.type,
                hint=f"the types are {', '.join(_PATHS)}",
            )
        raise UsageError(f'"{args.type}" is not a valid value for --type')
    kinds = [args.type] if args.type else list(_PATHS)
    find = _of_any_kind(session, kinds, size=args.size)
    return inspect(session, args.names, find, args.format)


def _container_arguments(parser: argparse.ArgumentParser) -> None:
    inspect_arguments(parser, "CONTAINER")
    parser.add_argument("-s", "--size", action="store_true", help="what it has written, too")


def _container(session: Session, args: argparse.Namespace) -> int:
    query = {"size": True} if args.size else {}
    return inspect(session, args.names, one(session, "container", **query), args.format)


COMMANDS = {
    "inspect": Command(_arguments, _inspect, names="names"),
    "container": Command(_container_arguments, _container, names="names"),
}
