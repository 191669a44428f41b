"""Kinds made of other kinds: lists, mappings with free keys, mappings with known keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import field, replace
from typing import Any

from orchestrator.compose.node import Node
from orchestrator.compose.problems import nearest
from orchestrator.compose.schema.kinds import TEXT, Kind, Reading, Scalar, passes
from orchestrator.model.value import dataclass

# The text of an empty mapping that stands for a value that was not given.
NOTHING = "null"


@dataclass(frozen=True, slots=True)
class ListOf(Kind):
    """A list.

    `single` allows a lone item. `identity` names what makes two items the same thing: a later
    file's item then replaces an earlier one's. `unique` refuses an item given twice. `replaces`
    makes a later file's list replace the whole.
    """

    item: Kind
    single: bool = False
    unique: bool = False
    identity: Callable[[Node], Hashable] | None = None
    replaces: bool = False
    form: str = "a list"
    nullable: bool = False

    def read(self, node: Node, at: str, reading: Reading) -> Node:
        if passes(node):
            return node
        if not isinstance(node.value, list):
            if self.nullable and node.value is None:
                return node.holding([])
            if self.single and node.value is not None:
                return node.holding(self.item.read_many(node, at, reading))
            return reading.expected(node, at, self.form)
        items: list[Node] = []
        seen: dict[Hashable, str] = {}
        for number, child in enumerate(node.value):
            here = f"{at}[{number}]"
            if self.unique and isinstance(child.value, Hashable):
                if child.value in seen:
                    reading.findings.add(
                        child.mark, here, f"{child.described()} is listed twice", "keep one"
                    )
                    continue
                seen[child.value] = here
            items.extend(self.item.read_many(child, here, reading))
        return node.holding(self._distinct(items, at, reading))

    def _distinct(self, items: list[Node], at: str, reading: Reading) -> list[Node]:
        if self.identity is None:
            return items
        kept: dict[Hashable, Node] = {}
        for item in items:
            key = self.identity(item)
            if key in kept:
                reading.findings.warn(item.mark, at, "given twice, the last one counts")
            kept[key] = item
        return list(kept.values())

    def schema(self) -> dict[str, Any]:
        kind = ["array", "null"] if self.nullable else "array"
        listed: dict[str, Any] = {"type": kind, "items": self.item.schema()}
        if self.unique:
            listed["uniqueItems"] = True
        return {"anyOf": [self.item.schema(), listed]} if self.single else listed


@dataclass(frozen=True, slots=True)
class MapOf(Kind):
    """A mapping with free keys.

    `listed` also allows a list of the keys, each with this value. `pairs` also allows a list of
    `key=value` strings.
    """

    value: Kind
    key: re.Pattern[str] | None = None
    listed: Mapping[str, Any] | None = None
    pairs: bool = False
    form: str = "a mapping"
    nullable: bool = False

    def read(self, node: Node, at: str, reading: Reading) -> Node:
        if passes(node):
            return node
        entries = self._entries(node, at, reading)
        if entries is None:
            return reading.expected(node, at, self.form)
        read: dict[str, Node] = {}
        for key, child in entries.items():
            here = f"{at}.{key}"
            if self.key and not self.key.fullmatch(key):
                reading.findings.add(
                    child.key, here, f'"{key}" is not a name', "use letters, digits, . _ and -"
                )
                continue
            read[key] = self.value.read(child, here, reading)
        return node.holding(read)

    def _entries(self, node: Node, at: str, reading: Reading) -> dict[str, Node] | None:
        if isinstance(node.value, dict):
            return node.value
        if node.value is None and self.nullable:
            return {}
        if not isinstance(node.value, list) or (self.listed is None and not self.pairs):
            return None
        entries: dict[str, Node] = {}
        for number, item in enumerate(node.value):
            here = f"{at}[{number}]"
            if item.invalid:
                continue
            if not isinstance(item.value, str):
                reading.expected(item, here, "a string")
            elif self.pairs:
                key, sign, value = item.value.partition("=")
                entries[key] = item.holding(value if sign else None)
            elif item.value in entries:
                reading.findings.add(item.mark, here, f'"{item.value}" is listed twice', "keep one")
            else:
                entries[item.value] = item.holding(self.listed or None)
        return entries

    def schema(self) -> dict[str, Any]:
        mapping: dict[str, Any] = {"type": ["object", "null"] if self.nullable else "object"}
        if self.key:
            mapping["patternProperties"] = {f"^{self.key.pattern}$": self.value.schema()}
            mapping["additionalProperties"] = False
        else:
            mapping["additionalProperties"] = self.value.schema()
        if self.listed is not None or self.pairs:
            names = {"type": "array", "items": {"type": "string"}}
            return {"anyOf": [mapping, names]}
        return mapping


@dataclass(frozen=True, slots=True)
class Attribute:
    """One key of a Struct. `pending` ones are valid but nothing carries them yet."""

    kind: Kind
    doc: str = ""
    pending: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class Struct(Kind):
    """A mapping with known keys (and `x-` ones, which mean nothing and are kept).

    `short` turns a short form into long ones, which are then read. `same` names a key that must
    agree for a later file's mapping to be merged into an earlier one's, not to replace it.
    `finish` has the last word on what was read, where one key decides what another means.
    """

    name: str
    attributes: Mapping[str, Attribute]
    short: Callable[[Node, str, Reading], list[Node]] | None = None
    short_schema: Mapping[str, Any] = field(default_factory=dict)
    form: str = "a mapping"
    nullable: bool = False
    same: str = ""
    finish: Callable[[Node, Reading], Node] | None = None

    def read(self, node: Node, at: str, reading: Reading) -> Node:
        if passes(node):
            return node
        read = self.read_many(node, at, reading)
        return read[0] if read else node.holding({})

    def read_many(self, node: Node, at: str, reading: Reading) -> list[Node]:
        if passes(node):
            return [node]
        if node.value is None and self.nullable:
            return [replace(node.holding({}), text=NOTHING)]
        if isinstance(node.value, dict):
            return [self._long(node, at, reading)]
        if self.short is None or node.value is None or isinstance(node.value, list):
            return [reading.expected(node, at, self.form)]
        longs = self.short(node, at, reading)
        return [self._long(x, at, reading) if isinstance(x.value, dict) else x for x in longs]

    def _long(self, node: Node, at: str, reading: Reading) -> Node:
        read: dict[str, Node] = {}
        for key, child in node.entries.items():
            here = f"{at}.{key}" if at else key
            attribute = self.attributes.get(key)
            if attribute is not None:
                if attribute.pending and child.tag != "reset":
                    reading.findings.warn(child.key, here, attribute.pending)
                read[key] = attribute.kind.read(child, here, reading)
            elif key.startswith("x-"):
                read[key] = child
            else:
                meant = nearest(key, self.attributes)
                hint = f'did you mean "{meant}"?' if meant else ""
                refused = reading.findings.refuse(
                    replace(child, mark=child.key), here, f'unknown key "{key}"', hint
                )
                if meant:
                    # It stands for the key it was meant to be, so that this is not missed too.
                    read.setdefault(meant, refused)
        done = node.holding(read)
        return self.finish(done, reading) if self.finish else done

    def schema(self) -> dict[str, Any]:
        return {"$ref": f"#/definitions/{self.name}"}


def _text(node: Node) -> Hashable:
    return node.string or id(node)


TEXTS = ListOf(TEXT)
DISTINCT = ListOf(TEXT, identity=_text)
WORDS = ListOf(TEXT, unique=True)
TEXT_OR_TEXTS = ListOf(TEXT, single=True, form="a string or a list of strings")
TEXT_OR_SET = ListOf(TEXT, single=True, identity=_text, form="a string or a list of strings")
PAIRS = MapOf(Scalar(), pairs=True, form="a mapping or a list of NAME=VALUE")
OPTIONS = MapOf(Scalar(nothing=False))
