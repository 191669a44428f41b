"""Command lines as Go's flag packages take them: switches may be written with a value (`--rm=true`,
`--init=false`), and the value of an option may begin with a dash.

argparse has no such forms: the words are made plain for it, and what is switched off is noted.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

_TRUE = ("1", "t", "true")
_FALSE = ("0", "f", "false")


def plain_switches(
    words: Sequence[str], options: Mapping[str, argparse.Action], *, to_first_name: bool
) -> tuple[list[str], set[str]]:
    """The words with every switch plain, and the destinations of those that are switched off.

    `options` are the parser's, by name; `to_first_name`: what follows the first word that is no
    option belongs to somebody else.
    """
    plain: list[str] = []
    off: set[str] = set()
    rest = iter(words)
    for word in rest:
        if word == "--" or (to_first_name and not word.startswith("-")):
            plain += [word, *rest]
            break
        name, equals, value = word.partition("=")
        action = options.get(name)
        if equals and action is not None and action.nargs == 0:
            if value.lower() in _FALSE:
                off.add(action.dest)
                continue
            if value.lower() in _TRUE:
                off.discard(action.dest)
                plain.append(name)
                continue
        plain.append(word)
        if _takes_next(word, options) and (following := next(rest, None)) is not None:
            # argparse takes no value that looks like an option, unless it is joined to its name.
            joined = word + "=" * word.startswith("--") + following
            plain[-1:] = [joined] if following.startswith("-") else [word, following]
    return plain, off


def _takes_next(word: str, options: Mapping[str, argparse.Action]) -> bool:
    """Whether the option's value is the next word."""
    if not word.startswith("-") or "=" in word:
        return False
    if word.startswith("--"):
        action = options.get(word)
        return action is not None and action.nargs is None
    for position, letter in enumerate(word[1:], 1):
        action = options.get(f"-{letter}")
        if action is None:
            return False
        if action.nargs is None:
            return position == len(word) - 1
    return False
