"""Flags as rows of a table: how each is written, and where its value goes in the request's body."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from orchestrator.cli.arguments import byte_count, nanoseconds, signed_byte_count
from orchestrator.errors import InvalidInput

Body = dict[str, Any]
_TYPES: dict[str, Callable[[str], Any]] = {
    "text": str,
    "number": int,
    "fraction": float,
    "size": byte_count,
    "signed-size": signed_byte_count,
    "duration": nanoseconds,
}


class Flag(NamedTuple):
    """One flag.

    `names` are as written, the long one first (more of them are parted by spaces); `kind` is the
    value's: text, number, fraction, size, signed-size, duration (nanoseconds), switch, list, or
    pairs (several NAME=VALUE); `to` is the place in the body (`HostConfig.Memory`), "" where a
    function of the topic puts it there; `metavar` says in the help what the value is.
    """

    names: str
    kind: str
    to: str
    help: str
    metavar: str = ""

    @property
    def dest(self) -> str:
        return self.names.split()[0].removeprefix("--").replace("-", "_")


def declare(parser: argparse.ArgumentParser, flags: Iterable[Flag]) -> None:
    """Make the parser take these flags; what is not given is None, False or []."""
    for flag in flags:
        options: dict[str, Any] = {"dest": flag.dest, "help": flag.help}
        if flag.kind == "switch":
            options |= {"action": "store_true"}
        elif flag.kind in ("list", "pairs"):
            options |= {"action": "append", "default": [], "metavar": flag.metavar}
        else:
            options |= {"type": _TYPES[flag.kind], "default": None, "metavar": flag.metavar}
        parser.add_argument(*sorted(flag.names.split(), key=len), **options)


def fill(body: Body, args: argparse.Namespace, flags: Iterable[Flag]) -> None:
    """Put what was given into the body.

    Raises: InvalidInput: a pair has no name.
    """
    for flag in flags:
        value = getattr(args, flag.dest)
        if not flag.to or value is None or value is False or value == []:
            continue
        if flag.kind == "pairs":
            value = dict(pair(text, flag.names.split()[0]) for text in value)
        put(body, flag.to, value)


def put(body: Body, place: str, value: Any) -> None:
    """Set the value at a dotted place."""
    *above, last = place.split(".")
    for name in above:
        body = body.setdefault(name, {})
    body[last] = value


def pair(text: str, flag: str) -> tuple[str, str]:
    """NAME and VALUE of `NAME=VALUE` or `NAME`.  Raises: InvalidInput: there is no name."""
    name, _, value = text.partition("=")
    if not name.strip():
        raise invalid(flag, text, "it needs a name", "write it as NAME=VALUE")
    return name, value


def invalid(flag: str, text: str, problem: str, hint: str, code: str = "") -> InvalidInput:
    """The error for a flag's value."""
    name = flag.removeprefix("--").removeprefix("-")
    return InvalidInput(
        f"{flag} {text}: {problem}", code=code or f"{name}-invalid", about=text, hint=hint
    )
