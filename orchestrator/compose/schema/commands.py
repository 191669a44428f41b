"""Commands: a string is split as a shell would, a list is taken as it is."""

from __future__ import annotations

import shlex
from typing import Any

from orchestrator.compose.node import Node
from orchestrator.compose.schema.kinds import Kind, Reading, passes
from orchestrator.compose.schema.shapes import TEXTS
from orchestrator.model.value import dataclass


@dataclass(frozen=True, slots=True)
class Command(Kind):
    """`command` and `entrypoint`; nothing means the image's own, where there is such a thing."""

    needed: bool = False

    def read(self, node: Node, at: str, reading: Reading) -> Node:
        absent = node.value in (None, []) or not str(node.value).strip()
        if self.needed and absent and not passes(node):
            return reading.expected(node, at, "a command")
        if passes(node) or node.value is None:
            return node
        if isinstance(node.value, list):
            return TEXTS.read(node, at, reading)
        if not isinstance(node.value, str):
            return reading.expected(node, at, "a string or a list of strings")
        try:
            return node.holding(shlex.split(node.value))
        except ValueError as error:
            return reading.findings.refuse(
                node, at, f"cannot be split into words: {str(error).lower()}", "balance the quotes"
            )

    def schema(self) -> dict[str, Any]:
        if self.needed:
            return {"anyOf": [{"type": "string", "minLength": 1}, TEXTS.schema() | {"minItems": 1}]}
        return {"anyOf": [{"type": ["string", "null"]}, TEXTS.schema()]}


@dataclass(frozen=True, slots=True)
class Test(Kind):
    """A health check's test: a string is for the shell, a list says NONE, CMD or CMD-SHELL."""

    def read(self, node: Node, at: str, reading: Reading) -> Node:
        if passes(node):
            return node
        if isinstance(node.value, str):
            return node.holding(["CMD-SHELL", node.value])
        if not isinstance(node.value, list):
            return reading.expected(node, at, "a string or a list of strings")
        listed = TEXTS.read(node, at, reading)
        if not listed.items:
            return listed  # as the image has it
        first = listed.items[0]
        if first.invalid or first.value in ("NONE", "CMD", "CMD-SHELL"):
            return listed
        what = f"starts with {first.described()}"
        return reading.findings.refuse(first, at, what, "a list starts with NONE, CMD or CMD-SHELL")

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, TEXTS.schema()]}
