"""Phase five: trees in canonical form are laid over each other, by what each attribute is.

Mappings merge key by key, lists append, single values and commands are replaced. `!reset`
removes what came before, `!override` replaces it whole. Pure.
Source: compose specification, "Merge Compose files".
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace

from orchestrator.compose.node import Node
from orchestrator.compose.schema.hosts import Hosts
from orchestrator.compose.schema.kinds import ANYTHING, TEXT, Kind
from orchestrator.compose.schema.shapes import ListOf, MapOf, Struct

_ADDRESSES = ListOf(TEXT, unique=True)


def merge(kind: Kind, base: Node, over: Node) -> Node:
    """The base with what `over` says on top; no merge instruction is left in it."""
    if over.tag or type(base.value) is not type(over.value):
        return settled(over)
    match kind:
        case Hosts():
            merged = _merge_entries(base, over, lambda _: _ADDRESSES)
        case MapOf():
            merged = _merge_entries(base, over, lambda _: kind.value)
        case Struct() if not _differ(base.get(kind.same), over.get(kind.same)):
            merged = _merge_entries(base, over, lambda key: _of(kind, key))
        case ListOf() if not kind.replaces:
            merged = over.holding(_joined(kind, settled(base).items, settled(over).items))
        case _:
            merged = settled(over)
    return merged


def settled(node: Node) -> Node:
    """The tree with its merge instructions carried out where there is nothing below."""
    if isinstance(node.value, dict):
        kept = {k: settled(v) for k, v in node.value.items() if v.tag != "reset"}
        return replace(node, value=kept, tag="")
    if isinstance(node.value, list):
        items = [settled(item) for item in node.value if item.tag != "reset"]
        return replace(node, value=items, tag="")
    return replace(node, tag="") if node.tag else node


def _merge_entries(base: Node, over: Node, kind_of: Callable[[str], Kind]) -> Node:
    merged = dict(settled(base).entries)
    for key, value in over.entries.items():
        if value.tag == "reset":
            merged.pop(key, None)
        elif key in merged:
            merged[key] = merge(kind_of(key), merged[key], value)
        else:
            merged[key] = settled(value)
    return base.holding(merged)


def _of(kind: Struct, key: str) -> Kind:
    attribute = kind.attributes.get(key)
    return attribute.kind if attribute else ANYTHING


def _differ(one: Node | None, other: Node | None) -> bool:
    return one is not None and other is not None and one.value != other.value


def _joined(kind: ListOf, base: list[Node], over: list[Node]) -> list[Node]:
    if kind.identity is not None:
        by_identity: dict[Hashable, Node] = {kind.identity(item): item for item in base}
        by_identity.update((kind.identity(item), item) for item in over)
        return list(by_identity.values())
    if kind.unique:
        known = [item.value for item in base]
        return [*base, *(item for item in over if item.value not in known)]
    return [*base, *over]
