"""What a template is made of, once read."""

from __future__ import annotations

from typing import Any, NamedTuple


class Literal(NamedTuple):
    """A string, number, bool or nil that stands in the template."""

    value: Any
    position: int


class Dot(NamedTuple):
    """The value in focus."""

    position: int


class Variable(NamedTuple):
    """`$name`; `$` is the value that the template began with."""

    name: str
    position: int


class Function(NamedTuple):
    """A function by its name."""

    name: str
    position: int


class Chain(NamedTuple):
    """Fields of a value, one of the other: `.A.B`, `$x.A`, `(…).A`."""

    base: Operand
    fields: tuple[str, ...]
    position: int


class Pipe(NamedTuple):
    """Commands, each given the former's value as its last argument; `names` get the last value."""

    commands: tuple[tuple[Operand, ...], ...]
    names: tuple[str, ...]
    declares: bool
    position: int


Operand = Literal | Dot | Variable | Function | Chain | Pipe


class Text(NamedTuple):
    """What is printed as it is."""

    text: str


class Print(NamedTuple):
    """A pipe whose value is printed, unless it sets a variable."""

    pipe: Pipe


class Branch(NamedTuple):
    """`if`, `with` or `range` (`word`), with what else to do."""

    word: str
    pipe: Pipe
    body: Body
    otherwise: Body


class Leave(NamedTuple):
    """`break` or `continue`."""

    word: str
    position: int


Node = Text | Print | Branch | Leave
Body = tuple[Node, ...]
