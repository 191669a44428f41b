"""A template's text as tokens. Pure."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import NamedTuple

from orchestrator.cli.template.errors import unreadable

_LEFT = re.compile(r"\{\{(-(?=\s))?")
_COMMENT = re.compile(r"\s*/\*.*?\*/\s*?(?P<trim>\s-)?\}\}", re.DOTALL)
_RIGHT = re.compile(r"\s*(?P<trim>(?<=\s)-)?\}\}")
_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<string>"(?:\\.|[^"\\\n])*")
  | (?P<raw>`[^`]*`)
  | (?P<char>'(?:\\.[^']*|[^'\\\n])')
  | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|
        \d[\d_]*(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?))
  | (?P<field>\.[^\W\d]\w*)
  | (?P<variable>\$\w*)
  | (?P<word>[^\W\d]\w*)
  | (?P<dot>\.)
  | (?P<mark>:=|[=|(),])
    """,
    re.VERBOSE,
)


class Token(NamedTuple):
    """A piece of the template: `kind` is text, end (of an action) or a name in the grammar above.

    `spaced` tells whether white space stands before it: `.A.B` is one operand, `.A .B` are two.
    """

    kind: str
    text: str
    position: int
    spaced: bool = False


def tokens(text: str, start: int = 0) -> Iterator[Token]:
    """The tokens of a template, which begins at `start`; each action's end with one of kind `end`.

    Raises: TemplateError: an action or a string has no end, or a character means nothing.
    """
    position, trim = start, False
    while position < len(text):
        left = _LEFT.search(text, position)
        plain = text[position : left.start() if left else len(text)]
        if trim:
            plain = plain.lstrip()
        if left and left[1]:
            plain = plain.rstrip()
        if plain:
            yield Token("text", plain, position)
        if left is None:
            return
        comment = _COMMENT.match(text, left.end())
        if comment:
            position, trim = comment.end(), comment["trim"] is not None
            continue
        end = yield from _action(text, left.end(), left.start())
        position, trim = end.end(), end["trim"] is not None


def _action(text: str, position: int, start: int) -> Generator[Token, None, re.Match[str]]:
    spaced = False
    while True:
        if end := _RIGHT.match(text, position):
            yield Token("end", "", position)
            return end
        found = _TOKEN.match(text, position)
        if found is None:
            raise _wrong(text, position, start)
        position = found.end()
        kind = str(found.lastgroup)
        if kind == "space":
            spaced = True
            continue
        yield Token(kind, found[0], found.start(), spaced)
        spaced = False


def _wrong(text: str, position: int, start: int) -> Exception:
    if position >= len(text):
        return unreadable(text, start, "unclosed action")
    if text[position] in "\"'`":
        return unreadable(text, position, "unterminated quoted string")
    if text.startswith("/*", position):
        return unreadable(text, position, "unclosed comment, or one that is not alone")
    return unreadable(text, position, f"unexpected {text[position]!r} in action")
