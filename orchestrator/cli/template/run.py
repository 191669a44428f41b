"""A template's tree printed over a value. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from orchestrator.cli.template.errors import TemplateError, place
from orchestrator.cli.template.functions import FUNCTIONS, Misused
from orchestrator.cli.template.nodes import (
    Body,
    Branch,
    Chain,
    Dot,
    Function,
    Leave,
    Literal,
    Node,
    Operand,
    Pipe,
    Print,
    Text,
    Variable,
)
from orchestrator.cli.template.parser import parse
from orchestrator.cli.template.values import Absent, field, printed, true, type_name

_MISSING = object()


class Template:
    """A template that was read; it begins at `start` of its text.

    With `escapes`, \\t and \\n outside of its actions are a tab and a newline.
    Raises: TemplateError: its text is wrong.
    """

    def __init__(self, text: str, *, start: int = 0, escapes: bool = False) -> None:
        self.text = text
        self.escapes = escapes
        self.body = parse(text, start)

    def run(self, value: Any, functions: Mapping[str, Callable[..., Any]] = FUNCTIONS) -> str:
        """What the template prints of `value`.

        Raises: TemplateError: it asks for a field that is not there, or misuses a function.
        """
        run = _Run(self.text, value, functions, escapes=self.escapes)
        run.body(self.body, value)
        return "".join(run.printed)


class _Left(Exception):
    """`break` or `continue` on its way to its loop."""


class _Run:
    def __init__(
        self, text: str, value: Any, functions: Mapping[str, Callable[..., Any]], *, escapes: bool
    ) -> None:
        self._escapes = escapes
        self.printed: list[str] = []
        self._text = text
        self._functions = functions
        self._variables: list[list[Any]] = [["$", value]]

    def _wrong(self, position: int, problem: object) -> TemplateError:
        return TemplateError(f"{place(self._text, position)}: {problem}")

    def body(self, body: Body, dot: Any) -> None:
        known = len(self._variables)
        for node in body:
            self._node(node, dot)
        del self._variables[known:]

    def _node(self, node: Node, dot: Any) -> None:
        match node:
            case Text(text):
                self.printed.append(_escaped(text) if self._escapes else text)
            case Print(pipe):
                value = self._pipe(pipe, dot)
                if not pipe.names:
                    self.printed.append(printed(value))
            case Leave(word):
                raise _Left(word)
            case Branch("range"):
                self._range(node, dot)
            case Branch(word, pipe, body, otherwise):
                known = len(self._variables)
                value = self._pipe(pipe, dot)
                if true(value):
                    self.body(body, value if word == "with" else dot)
                else:
                    self.body(otherwise, dot)
                del self._variables[known:]

    def _range(self, node: Branch, dot: Any) -> None:
        known = len(self._variables)
        names = node.pipe.names
        # The pipe itself sets nothing here: its variables get each item in turn.
        items = list(self._items(node.pipe, self._pipe(node.pipe._replace(names=()), dot)))
        for key, item in items:
            values = (item,) if len(names) == 1 else (key, item)
            for name, each in zip(names, values, strict=False):
                self._set(name, each, declares=node.pipe.declares)
            try:
                self.body(node.body, item)
            except _Left as left:
                if str(left) == "break":
                    break
            finally:
                del self._variables[known:]
        if not items:
            self.body(node.otherwise, dot)

    def _items(self, pipe: Pipe, value: Any) -> Iterable[tuple[Any, Any]]:
        if value is None:
            return ()
        if isinstance(value, Mapping):
            # Map keys come sorted, as Go's do.
            return [(key, value[key]) for key in sorted(value)]
        if isinstance(value, list | tuple):
            return enumerate(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return ((number, number) for number in range(value))
        raise self._wrong(pipe.position, f"range can't iterate over {type_name(value)}")

    def _set(self, name: str, value: Any, *, declares: bool) -> None:
        if declares:
            self._variables.append([name, value])
            return
        self._variable(name)[1] = value

    def _variable(self, name: str) -> list[Any]:
        return next(each for each in reversed(self._variables) if each[0] == name)

    # -- values ----------------------------------------------------------------------------

    def _pipe(self, pipe: Pipe, dot: Any) -> Any:
        value: Any = _MISSING
        for command in pipe.commands:
            value = self._command(command, dot, value)
        for name in pipe.names:
            self._set(name, value, declares=pipe.declares)
        return value

    def _command(self, command: tuple[Operand, ...], dot: Any, last: Any) -> Any:
        first, rest = command[0], command[1:]
        if isinstance(first, Function):
            return self._call(first, rest, dot, last)
        value = self._value(first, dot)
        given = [self._value(each, dot) for each in rest]
        if last is not _MISSING:
            given.append(last)
        if callable(value):
            return self._applied(first.position, value, given)
        if given:
            raise self._wrong(first.position, "can't give argument to non-function")
        return value

    def _call(self, function: Function, rest: tuple[Operand, ...], dot: Any, last: Any) -> Any:
        if function.name in ("and", "or"):
            return self._lazy(function, rest, dot, last)
        given = [self._value(each, dot) for each in rest]
        if last is not _MISSING:
            given.append(last)
        return self._applied(function.position, self._functions[function.name], given)

    def _lazy(self, function: Function, rest: tuple[Operand, ...], dot: Any, last: Any) -> Any:
        """`and` and `or` look no further than they must."""
        value: Any = _MISSING
        for operand in rest:
            value = self._value(operand, dot)
            if true(value) == (function.name == "or"):
                return value
        if last is not _MISSING:
            return last
        if value is _MISSING:
            raise self._wrong(function.position, f"{function.name} needs an argument")
        return value

    def _applied(self, position: int, function: Callable[..., Any], given: list[Any]) -> Any:
        try:
            return function(*given)
        except (Misused, Absent) as error:
            raise self._wrong(position, error) from error
        except TypeError as error:
            raise self._wrong(position, f"wrong number of arguments: {len(given)}") from error

    def _value(self, operand: Operand, dot: Any) -> Any:
        match operand:
            case Literal(value):
                return value
            case Dot():
                return dot
            case Variable(name):
                return self._variable(name)[1]
            case Pipe():
                return self._pipe(operand, dot)
            case Function():
                return self._call(operand, (), dot, _MISSING)
            case Chain(base, names, position):
                return self._fields(self._value(base, dot), names, position)

    def _fields(self, value: Any, names: tuple[str, ...], position: int) -> Any:
        for number, name in enumerate(names):
            try:
                value = field(value, name)
            except Absent as error:
                asked = "." + ".".join(names[: number + 1])
                problem = f'executing "" at <{asked}>: {error}'
                raise self._wrong(position, problem) from error
        return value


def _escaped(text: str) -> str:
    return text.replace("\\t", "\t").replace("\\n", "\n")
