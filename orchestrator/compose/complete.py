"""Required keys, looked for when all files are merged: one may give what another lacks."""

from __future__ import annotations

from orchestrator.compose.node import Node
from orchestrator.compose.problems import Findings
from orchestrator.compose.schema.kinds import Kind
from orchestrator.compose.schema.shapes import ListOf, MapOf, Struct


def require(kind: Kind, node: Node, at: str, findings: Findings) -> None:
    """Note each required key that is missing in the tree."""
    if isinstance(kind, Struct) and isinstance(node.value, dict):
        for key, attribute in kind.attributes.items():
            if key in node.entries:
                below = f"{at}.{key}" if at else key
                require(attribute.kind, node.entries[key], below, findings)
            elif attribute.required:
                findings.add(node.mark, at, f'the key "{key}" is missing')
    elif isinstance(kind, MapOf):
        for key, child in node.entries.items():
            require(kind.value, child, f"{at}.{key}", findings)
    elif isinstance(kind, ListOf):
        for number, child in enumerate(node.items):
            require(kind.item, child, f"{at}[{number}]", findings)
