"""Variables in one string: `$NAME`, `${NAME}` and the operators of the compose specification.

Pure: the environment comes as a lookup. Source: compose specification, "Interpolation".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

Lookup = Callable[[str], str | None]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":-|:\?|:\+|-|\?|\+")


class TemplateError(Exception):
    """A string that cannot be interpolated: what is wrong and what to do."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class Use(NamedTuple):
    """One use of a variable: `${name operator word}`."""

    name: str
    operator: str = ""
    word: str = ""


def uses(text: str) -> Iterator[Use]:
    """Every use of a variable in a string, those within defaults too.  Raises: TemplateError."""
    position = 0
    while (dollar := text.find("$", position)) >= 0:
        start = dollar + 1
        if text.startswith("$", start):
            position = start + 1
        elif text.startswith("{", start):
            end = _closing_brace(text, start)
            use = _parsed(text[start + 1 : end])
            yield use
            yield from uses(use.word)
            position = end + 1
        else:
            match = _NAME.match(text, start)
            if match:
                yield Use(match[0])
            position = match.end() if match else start


def substitute(text: str, lookup: Lookup, unset: Callable[[str], None] | None = None) -> str:
    """The string with every variable replaced and `$$` become `$`.

    `unset` is told the name of each variable that has neither a value nor a default.
    Raises: TemplateError: malformed, or a required variable has no value.
    """
    if "$" not in text:
        return text
    done: list[str] = []
    position = 0
    while (dollar := text.find("$", position)) >= 0:
        done.append(text[position:dollar])
        value, position = _variable(text, dollar + 1, lookup, unset)
        done.append(value)
    done.append(text[position:])
    return "".join(done)


def _variable(
    text: str, start: int, lookup: Lookup, unset: Callable[[str], None] | None
) -> tuple[str, int]:
    if text.startswith("$", start):
        return "$", start + 1
    if not text.startswith("{", start):
        match = _NAME.match(text, start)
        if match is None:
            return "$", start  # Compose leaves it, as in `echo $(date)` and `a price of 5 $`
        return _plain(match[0], lookup, unset), match.end()
    end = _closing_brace(text, start)
    return _braced(text[start + 1 : end], lookup, unset), end + 1


def _closing_brace(text: str, start: int) -> int:
    """Where the brace at `start` is closed: by its counterpart, or, as Compose has it, by the next
    one where the braces between do not match."""
    depth = 0
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return position
    position = text.find("}", start)
    if position < 0:
        raise TemplateError("${ is not closed by a }", "write $$ for a plain $")
    return position


def _parsed(body: str) -> Use:
    match = _NAME.match(body)
    if match is None:
        raise TemplateError(f"${{{body}}} does not start with a variable's name")
    name, rest = match[0], body[match.end() :]
    if not rest:
        return Use(name)
    operator = _OPERATOR.match(rest)
    if operator is None:
        raise TemplateError(
            f"${{{body}}} is not a variable", "after the name come :-, -, :?, ?, :+ or +"
        )
    return Use(name, operator[0], rest[operator.end() :])


def _braced(body: str, lookup: Lookup, unset: Callable[[str], None] | None) -> str:
    name, operator, word = _parsed(body)
    if not operator:
        return _plain(name, lookup, unset)
    value = lookup(name)
    missing = value is None or (operator.startswith(":") and value == "")
    if operator.endswith("+"):
        return "" if missing else substitute(word, lookup, unset)
    if not missing:
        return value or ""
    if operator.endswith("-"):
        return substitute(word, lookup, unset)
    message = substitute(word, lookup, unset)
    raise TemplateError(
        f"the variable {name} is required" + (f": {message}" if message else ""),
        f"set {name} in the environment or in .env",
    )


def _plain(name: str, lookup: Lookup, unset: Callable[[str], None] | None) -> str:
    value = lookup(name)
    if value is None and unset is not None:
        unset(name)
    return value or ""
