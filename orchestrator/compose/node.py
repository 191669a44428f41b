"""The tree that every phase of the loader works on: values that know where they were written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Literal

Tag = Literal["", "reset", "override"]


class Verbatim(str):
    """A string whose variables were left as they are: it is not looked into, as it may become
    anything once they are replaced."""

    __slots__ = ()


class Invalid(Enum):
    """The value of a node that was refused: it is reported, later phases step over it."""

    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a stack file.

    `key_mark` is where its key is written, when it is a mapping's value; `text` is a plain
    scalar as written, before it became a number or a boolean; `tag` is what merging is told.
    """

    value: str | int | float | bool | dict[str, Node] | list[Node] | Invalid | None
    mark: Mark
    key_mark: Mark | None = None
    tag: Tag = ""
    text: str = ""

    @property
    def key(self) -> Mark:
        """Where a message about the key points: the key, else the value itself."""
        return self.key_mark or self.mark

    @property
    def entries(self) -> dict[str, Node]:
        """The mapping's entries; nothing when it is no mapping."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The list's items; nothing when it is no list."""
        return self.value if isinstance(self.value, list) else []

    @property
    def string(self) -> str:
        """The string; empty when it is none."""
        return self.value if isinstance(self.value, str) else ""

    @property
    def invalid(self) -> bool:
        return self.value is Invalid.INVALID

    def get(self, *keys: str) -> Node | None:
        """What is found by going down by these keys, if anything is there."""
        node: Node | None = self
        for key in keys:
            node = node.entries.get(key) if node is not None else None
        return node

    def holding(self, value: Any) -> Node:
        """The same place with another value; plain mappings and lists become nodes."""
        return replace(self, value=self._wrapped(value), text="")

    def _wrapped(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {k: self._child(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._child(v) for v in value]
        return value

    def _child(self, value: Any) -> Node:
        if isinstance(value, Node):
            return value
        return Node(self._wrapped(value), self.mark, self.key_mark)

    def plain(self) -> Any:
        """The value without marks: mappings, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return str(self.value) if isinstance(self.value, Verbatim) else self.value

    def described(self) -> str:
        """What the value is, for a message: "a list", "the number 80", 'the string "x"'."""
        value = self.value
        if value is None:
            return "nothing"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (int, float)):
            return f"the number {self.text or value}"
        if isinstance(value, str):
            shown = value if len(value) <= 40 else f"{value[:37]}..."
            return f'the string "{shown}"'
        return "a list" if isinstance(value, list) else "a mapping"
