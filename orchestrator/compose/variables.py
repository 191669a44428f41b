"""The variables that a tree uses, found without replacing them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.compose.node import Node
from orchestrator.compose.template import TemplateError, Use, uses


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a stack's files: its default and what stands for it where it is set."""

    name: str
    required: bool = False
    default: str = ""
    alternate: str = ""


def variables_of(tree: Node) -> list[Variable]:
    """The variables of every string below, in the order of their names.

    Of one that is used several times the first default counts.
    """
    found: dict[str, Variable] = {}
    for use in _uses(tree):
        before = found.get(use.name, Variable(use.name))
        found[use.name] = Variable(
            use.name,
            before.required or use.operator.endswith("?"),
            before.default or (use.word if use.operator.endswith("-") else ""),
            before.alternate or (use.word if use.operator.endswith("+") else ""),
        )
    return [found[name] for name in sorted(found)]


def _uses(node: Node) -> Iterator[Use]:
    for child in (*node.entries.values(), *node.items):
        yield from _uses(child)
    try:
        yield from uses(node.string)
    except TemplateError:
        return
