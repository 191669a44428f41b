"""`extra_hosts`: host names and their addresses."""

from __future__ import annotations

from typing import Any

from orchestrator.compose.node import Node
from orchestrator.compose.schema.kinds import Kind, Reading, passes
from orchestrator.compose.schema.shapes import TEXT_OR_TEXTS
from orchestrator.model.value import dataclass


@dataclass(frozen=True, slots=True)
class Hosts(Kind):
    """A mapping of names to addresses, or a list of NAME=ADDRESS or NAME:ADDRESS."""

    def read(self, node: Node, at: str, reading: Reading) -> Node:
        if passes(node):
            return node
        if isinstance(node.value, dict):
            read = {
                name: TEXT_OR_TEXTS.read(child, f"{at}.{name}", reading)
                for name, child in node.value.items()
            }
            return node.holding(read)
        if not isinstance(node.value, list):
            return reading.expected(node, at, "a mapping or a list of NAME=ADDRESS")
        hosts: dict[str, list[Node]] = {}
        for number, item in enumerate(node.value):
            name, address = _split(item.string)
            if item.invalid:
                continue
            if not name or not address:
                reading.expected(item, f"{at}[{number}]", "NAME=ADDRESS")
                continue
            hosts.setdefault(name, []).append(item.holding(address))
        return node.holding(hosts)

    def schema(self) -> dict[str, Any]:
        return {
            "anyOf": [
                {"type": "object", "additionalProperties": TEXT_OR_TEXTS.schema()},
                {"type": "array", "items": {"type": "string"}},
            ]
        }


def _split(text: str) -> tuple[str, str]:
    sign = "=" if "=" in text else ":"
    name, _, address = text.partition(sign)
    return name.strip(), address.strip().removeprefix("[").removesuffix("]")
