"""What may stand at the cursor, told from the words before it. Pure but for the import of the
command's module, whose parser says which options and names it takes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.cli.commands import (
    DOCKER,
    GROUPS,
    OWN,
    STACK,
    Entry,
    meanings,
    parser_of,
)
from orchestrator.cli.completion.kinds import FIXED, kinds_of
from orchestrator.cli.options import StackOptions, split_options

# The options before the command, and the kind of their values.
_GLOBAL = {
    "-f": "file",
    "--file": "file",
    "-p": "stack",
    "--project-name": "stack",
    "--project-directory": "directory",
    "--env-file": "file",
    "--profile": "profile",
}
_REST = argparse.REMAINDER


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """`fixed` may stand there, by what it is in a few words, and names of these `kinds`.

    `kept` is what of the word is said already and stays: `--network=`. `verb` is the command,
    `named` what was named before, `options` choose the stack.
    """

    fixed: Mapping[str, str] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()
    kept: str = ""
    verb: str = ""
    named: frozenset[str] = frozenset()
    options: StackOptions = field(default_factory=StackOptions)


def place(before: Sequence[str], word: str) -> Place:
    """What may stand where `word` is begun, after the words `before`.

    Raises: UsageError: the words cannot be understood.
    """
    if before and before[-1] in _GLOBAL and _is_option(before):
        return Place(kinds=(_GLOBAL[before[-1]],), options=split_options(before[:-1])[0])
    options, rest = split_options(before)
    compose = rest[:1] == ["compose"]
    if compose:
        if len(rest) > 1 and rest[-1] in _GLOBAL and not split_options(rest[1:-1])[1]:
            return Place(kinds=(_GLOBAL[rest[-1]],), options=options)
        more, rest = split_options(rest[1:])
        options.add(more)
    if not rest:
        return Place(fixed=_commands(word, compose=compose), options=options)
    name, *rest = rest
    if name in GROUPS and not compose:
        if not rest:
            return Place(fixed=_summaries(GROUPS[name]), options=options)
        member = GROUPS[name].get(rest[0])
        forms = [(member, False)] if member else []
        name, rest = f"{name} {rest[0]}", rest[1:]
    else:
        forms = _forms(name, rest, options, compose=compose)
    found = [_in_command(name, entry, about_stack, rest, word) for entry, about_stack in forms]
    return _joined(found, name, options)


def _is_option(before: Sequence[str]) -> bool:
    """Whether the last word is an option before the command, its value still to come."""
    return not split_options(before[:-1])[1]


def _commands(word: str, *, compose: bool) -> dict[str, str]:
    if word.startswith("-"):
        return dict.fromkeys(_GLOBAL, "") | {"--help": "", "--version": ""}
    if compose:
        return _summaries(STACK)
    groups = {name: f"commands: {', '.join(members)}" for name, members in GROUPS.items()}
    return (
        groups
        | {"compose": "Commands about a stack, as Compose has them"}
        | _summaries(STACK)
        | _summaries(DOCKER)
        | _summaries(OWN)
    )


def _summaries(entries: Mapping[str, Entry]) -> dict[str, str]:
    return {name: entry.summary for name, entry in entries.items()}


def _forms(
    name: str, rest: Sequence[str], options: StackOptions, *, compose: bool
) -> list[tuple[Entry, bool]]:
    if name in OWN and not compose:
        return [(OWN[name], False)]
    return [
        ((STACK if about_stack else DOCKER)[name], about_stack)
        for about_stack in meanings(name, rest, options, compose=compose)
    ]


def _in_command(
    name: str, entry: Entry, about_stack: bool, rest: Sequence[str], word: str
) -> Place:
    """What may stand there in one form of a command."""
    parser = parser_of(name, entry, about_stack=about_stack)
    options = {text: a for a in parser._actions for text in a.option_strings}
    names, value_of, closed = _walked(rest, options, parser)
    if value_of is not None:
        return _value(name, value_of)
    option, equals, _ = word.partition("=")
    if word.startswith("--") and equals and option in options:
        return _value(name, options[option], kept=f"{option}=")
    if word.startswith("-") and not closed:
        return Place(
            fixed={
                text: str(action.help or "")
                for text, action in options.items()
                if action.help != argparse.SUPPRESS and (text.startswith("--") or word == "-")
            }
        )
    action = _positional(parser, len(names))
    if action is None:
        return Place()
    return _value(name, action, named=frozenset(names))


def _value(
    command: str, action: argparse.Action, kept: str = "", named: frozenset[str] = frozenset()
) -> Place:
    """What the value of an argument may be."""
    if action.choices is not None:
        return Place(fixed=dict.fromkeys(map(str, filter(None, action.choices)), ""), kept=kept)
    kinds = kinds_of(command, action)
    fixed = {text: "" for kind in kinds for text in FIXED.get(kind, ())}
    return Place(fixed=fixed, kinds=kinds, kept=kept, named=named)


def _walked(
    rest: Sequence[str], options: Mapping[str, argparse.Action], parser: argparse.ArgumentParser
) -> tuple[list[str], argparse.Action | None, bool]:
    """The names given so far, the option whose value is next, and whether no option can follow."""
    names: list[str] = []
    value_of: argparse.Action | None = None
    closed = False
    for word in rest:
        if value_of is not None:
            value_of = None
        elif not closed and word == "--":
            closed = True
        elif not closed and word.startswith("-") and word != "-":
            value_of = _waiting(word, options)
        else:
            names.append(word)
            action = _positional(parser, len(names))
            closed = closed or (action is not None and action.nargs == _REST)
    return names, value_of, closed


def _waiting(word: str, options: Mapping[str, argparse.Action]) -> argparse.Action | None:
    """The option that `word` ends with, if its value is the next word: `-it`, `--name`, `-f`."""
    action = options.get(word)
    if action is None and not word.startswith("--"):
        for position, letter in enumerate(word[1:], 2):
            action = options.get(f"-{letter}")
            if action is None or action.nargs != 0:
                action = action if position == len(word) else None
                break
    return action if action is not None and action.nargs is None else None


def _positional(parser: argparse.ArgumentParser, index: int) -> argparse.Action | None:
    """The argument that the name of that number is for."""
    for action in parser._get_positional_actions():
        if action.nargs not in (None, "?"):
            return action
        if index == 0:
            return action
        index -= 1
    return None


def _joined(found: Iterable[Place], verb: str, options: StackOptions) -> Place:
    """One place of those of all forms."""
    fixed: dict[str, str] = {}
    kinds: dict[str, None] = {}
    kept, named = "", frozenset[str]()
    for each in found:
        fixed |= each.fixed
        kinds |= dict.fromkeys(each.kinds)
        kept, named = kept or each.kept, named | each.named
    return Place(
        fixed=fixed, kinds=tuple(kinds), kept=kept, verb=verb, named=named, options=options
    )
