"""`security_opt`: one option, its file made absolute."""

from __future__ import annotations

from typing import Any

from orchestrator.compose.node import Node
from orchestrator.compose.schema.kinds import Kind, Reading, passes
from orchestrator.model.value import dataclass

_NO_FILE = ("", "unconfined", "builtin")


@dataclass(frozen=True, slots=True)
class SecurityOption(Kind):
    """A security option of Docker's; a seccomp profile is a path from where the file is."""

    def read(self, node: Node, at: str, reading: Reading) -> Node:
        if passes(node):
            return node
        if not node.string:
            return reading.expected(node, at, "a security option")
        name, path = split_option(node.string)
        if name != "seccomp" or path in _NO_FILE or path.startswith("{"):
            return node
        return node.holding(f"seccomp={reading.absolute(path)}")

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


def split_option(option: str) -> tuple[str, str]:
    """The name and the value of `name=value`, or of the older `name:value`."""
    equals, colon = option.find("="), option.find(":")
    first = equals if equals >= 0 and (colon < 0 or equals < colon) else colon
    return (option, "") if first < 0 else (option[:first], option[first + 1 :])
