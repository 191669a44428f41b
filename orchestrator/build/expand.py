"""Variables in a Dockerfile's words: `$name`, `${name}` and the modifiers of the POSIX shell.

Pure. What is not a variable stays: quotes are taken off and escapes resolved as the shell does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?\-$!]")


class BadExpansionError(ValueError):
    """A variable expression that cannot be read, or a required variable that is not set."""


def expand(text: str, values: Mapping[str, str], escape: str = "\\") -> str:
    """text with its variables replaced, its quotes taken off and its escapes resolved.

    An unset variable is empty.
    Raises: BadExpansionError: a brace is not closed, a modifier is unknown, `${name:?word}`.
    Source: Dockerfile reference, "Environment replacement"; POSIX, "Parameter Expansion".
    """
    return _Scanner(text, values, escape, quotes=True).read()


def expand_document(text: str, values: Mapping[str, str], escape: str = "\\") -> str:
    """As `expand`, for a here-document: quotes mean nothing and stay."""
    return _Scanner(text, values, escape, quotes=False).read()


class _Scanner:
    def __init__(self, text: str, values: Mapping[str, str], escape: str, quotes: bool) -> None:
        self._text = text
        self._values = values
        self._escape = escape
        self._quotes = quotes
        self._at = 0

    def read(self, stops: str = "") -> str:
        """What is left up to one of the stop characters, which is not consumed."""
        out: list[str] = []
        while self._at < len(self._text):
            char = self._text[self._at]
            if char in stops:
                break
            if char == "'" and self._quotes:
                out.append(self._single_quoted())
            elif char == '"' and self._quotes:
                out.append(self._double_quoted())
            elif char == "$":
                out.append(self._variable())
            elif char == self._escape:
                out.append(self._escaped(None if self._quotes else f"${self._escape}"))
            else:
                out.append(char)
                self._at += 1
        return "".join(out)

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise BadExpansionError("a single quote is not closed")
        inner = self._text[self._at + 1 : end]
        self._at = end + 1
        return inner

    def _double_quoted(self) -> str:
        out: list[str] = []
        self._at += 1
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == '"':
                self._at += 1
                return "".join(out)
            if char == "$":
                out.append(self._variable())
            elif char == self._escape:
                out.append(self._escaped(f'"${self._escape}'))
            else:
                out.append(char)
                self._at += 1
        raise BadExpansionError("a double quote is not closed")

    def _escaped(self, special: str | None) -> str:
        """The escaped character, or both characters where the escape has no meaning."""
        following = self._text[self._at + 1 : self._at + 2]
        self._at += 1 + len(following)
        if special is None:
            return following
        return following if following and following in special else self._escape + following

    def _variable(self) -> str:
        self._at += 1
        if self._text[self._at : self._at + 1] == "{":
            self._at += 1
            return self._braced()
        match = _NAME.match(self._text, self._at)
        if match is None:
            return "$"
        self._at = match.end()
        return self._values.get(match[0], "")

    def _braced(self) -> str:
        match = _NAME.match(self._text, self._at)
        if match is None:
            raise BadExpansionError("a variable name must follow ${")
        name = match[0]
        self._at = match.end()
        operator = self._operator()
        value = self._values.get(name)
        if operator == "}":
            return value or ""
        if operator in ("/", "//"):
            return self._replaced(value or "", every=operator == "//")
        word = self.read("}")
        self._close(name)
        if operator[0] in "#%":
            return _trimmed(value or "", word, operator)
        return _chosen(name, value, word, operator)

    def _operator(self) -> str:
        for operator in (":-", ":+", ":?", "##", "%%", "//", "-", "+", "?", "#", "%", "/", "}"):
            if self._text.startswith(operator, self._at):
                self._at += len(operator)
                return operator
        rest = self._text[self._at : self._at + 2]
        raise BadExpansionError(
            f"unknown modifier {rest} in ${{…}}" if rest else "${ is not closed by }"
        )

    def _replaced(self, value: str, every: bool) -> str:
        pattern = self.read("/}")
        replacement = ""
        if self._text[self._at : self._at + 1] == "/":
            self._at += 1
            replacement = self.read("}")
        self._close("")
        regex = re.compile(_glob(pattern), re.DOTALL)
        return regex.sub(lambda _match: replacement, value, count=0 if every else 1)

    def _close(self, name: str) -> None:
        if self._text[self._at : self._at + 1] != "}":
            raise BadExpansionError(f"${{{name} is not closed by }}")
        self._at += 1


def _chosen(name: str, value: str | None, word: str, operator: str) -> str:
    present = value is not None and (value != "" or not operator.startswith(":"))
    match operator[-1]:
        case "-":
            return (value or "") if present else word
        case "+":
            return word if present else ""
        case _:
            if not present:
                raise BadExpansionError(f"{name}: {word or 'is not set'}")
            return value or ""


def _trimmed(value: str, pattern: str, operator: str) -> str:
    regex = re.compile(_glob(pattern), re.DOTALL)
    lengths = range(len(value) + 1)
    for length in reversed(lengths) if len(operator) == 2 else lengths:
        if operator[0] == "#":
            if regex.fullmatch(value, 0, length):
                return value[length:]
        elif regex.fullmatch(value, len(value) - length):
            return value[: len(value) - length]
    return value


def _glob(pattern: str) -> str:
    out: list[str] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if char == "*":
            out.append(".*")
        elif char == "?":
            out.append(".")
        elif char == "\\" and position + 1 < len(pattern):
            position += 1
            out.append(re.escape(pattern[position]))
        else:
            out.append(re.escape(char))
        position += 1
    return "".join(out)
