"""Phase two: the variables in every string of a tree. Keys are left as they are."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.compose.node import Node, Verbatim
from orchestrator.compose.problems import Findings
from orchestrator.compose.template import TemplateError, substitute


def interpolate(node: Node, path: str, environ: Mapping[str, str], findings: Findings) -> Node:
    """The tree with its variables replaced; a variable without a value is a warning."""
    value = node.value
    if isinstance(value, dict):
        return _like(
            node,
            {
                key: interpolate(child, f"{path}.{key}" if path else key, environ, findings)
                for key, child in value.items()
            },
        )
    if isinstance(value, list):
        return _like(
            node,
            [
                interpolate(child, f"{path}[{number}]", environ, findings)
                for number, child in enumerate(value)
            ],
        )
    if not isinstance(value, str) or "$" not in value:
        return node

    def unset(name: str) -> None:
        findings.warn(node.mark, path, f"the variable {name} is not set, an empty string is used")

    try:
        return _like(node, substitute(value, environ.get, unset))
    except TemplateError as error:
        return findings.refuse(node, path, error.what, error.hint)


def verbatim(node: Node) -> Node:
    """The tree with its variables left as they are, and marked as such."""
    if isinstance(node.value, dict):
        return _like(node, {key: verbatim(child) for key, child in node.value.items()})
    if isinstance(node.value, list):
        return _like(node, [verbatim(child) for child in node.value])
    if isinstance(node.value, str) and "$" in node.value:
        return _like(node, Verbatim(node.value))
    return node


def _like(node: Node, value: str | dict[str, Node] | list[Node]) -> Node:
    return Node(value, node.mark, node.key_mark, node.tag)
