"""Phase one: a file becomes trees of nodes, one per YAML document.

Knows YAML and nothing of stacks. Duplicate keys are refused, anchors and merge keys (`<<`) are
resolved, every node keeps its place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from yaml._yaml import CParser
from yaml.resolver import BaseResolver

from orchestrator.compose.node import Mark, Node, Tag
from orchestrator.compose.problems import Findings
from orchestrator.compose.scalars import resolve

# Aliases can make a small file enormous; no real stack comes near this many values.
MAX_NODES = 200_000
MAX_DEPTH = 100
_PLAIN = "plain"
_COLLECTIONS = {yaml.SequenceNode: "seq", yaml.MappingNode: "map"}
_CORE_PREFIX = "tag:yaml.org,2002:"
_STRING = f"{_CORE_PREFIX}str"
_TAGS: dict[str, Tag] = {"!reset": "reset", "!override": "override"}
_CORE = ("str", "seq", "map", "int", "float", "bool", "null")
_KNOWN_TAGS = frozenset((_PLAIN, *(f"{_CORE_PREFIX}{kind}" for kind in _CORE)))


class _Parser(CParser, BaseResolver):
    """libyaml's parser with no opinion on scalars."""

    def __init__(self, stream: bytes) -> None:
        CParser.__init__(self, stream)
        BaseResolver.__init__(self)
        self._depth = 0

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        """Told of each level down: without an end the C code overflows the stack."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            mark = current_node.start_mark if current_node else None
            raise yaml.MarkedYAMLError(
                problem=f"nested more than {MAX_DEPTH} levels deep", problem_mark=mark
            )

    def ascend_resolver(self) -> None:
        self._depth -= 1

    def resolve(self, kind: Any, value: str | None, implicit: Any) -> str:
        """The tag of a node that was given none; a plain scalar is left to the core schema."""
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return f"{_CORE_PREFIX}{_COLLECTIONS.get(kind, 'str')}"


def read_file(path: Path, shown: str, findings: Findings) -> list[Node]:
    """The documents of a file that hold anything; problems go to `findings`."""
    findings.files[str(path)] = None
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        findings.add(Mark(shown, 1, 1), "", "there is no such file", "check the path")
    except OSError as error:
        findings.add(Mark(shown, 1, 1), "", f"cannot be read: {error.strerror}")
    else:
        return read_text(content, shown, findings)
    return []


def read_text(content: bytes, shown: str, findings: Findings) -> list[Node]:
    """The documents of a file's content; `shown` is its name in messages."""
    roots: list[yaml.Node] = []
    try:
        parser = _Parser(content)
        while parser.check_node():
            if (root := parser.get_node()) is not None:
                roots.append(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        findings.add(_mark(mark, shown), "", f"not YAML: {_sentence(error)}")
        return []
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        findings.add(Mark(shown, 1, 1), "", f"not YAML: {error}".splitlines()[0])
        return []
    builder = _Builder(shown, findings)
    trees = [builder.build(root, None, "") for root in roots]
    return [tree for tree in trees if tree.value is not None]


def _sentence(error: yaml.MarkedYAMLError) -> str:
    return ", ".join(part for part in (error.problem, error.context) if part)


def _mark(mark: yaml.Mark | None, shown: str) -> Mark:
    if mark is None:
        return Mark(shown, 1, 1)
    return Mark(shown, mark.line + 1, mark.column + 1)


class _Builder:
    """Turns one file's YAML nodes into ours."""

    def __init__(self, shown: str, findings: Findings) -> None:
        self._shown = shown
        self._findings = findings
        self._open: set[int] = set()
        self._count = 0

    def build(self, node: yaml.Node, key_mark: Mark | None, path: str) -> Node:
        mark = _mark(node.start_mark, self._shown)
        self._count += 1
        if id(node) in self._open:
            self._findings.add(mark, path, "an alias contains itself")
            return Node(None, mark, key_mark)
        if self._count > MAX_NODES:
            if self._count == MAX_NODES + 1:
                self._findings.add(mark, path, f"aliases make more than {MAX_NODES} values")
            return Node(None, mark, key_mark)
        tag = self._tag(node, mark, path)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, mark, key_mark, tag)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                items = [self.build(n, None, f"{path}[{i}]") for i, n in enumerate(node.value)]
                return Node(items, mark, key_mark, tag)
            assert isinstance(node, yaml.MappingNode)
            return Node(self._mapping(node, path), mark, key_mark, tag)
        finally:
            self._open.discard(id(node))

    def _tag(self, node: yaml.Node, mark: Mark, path: str) -> Tag:
        if node.tag in _TAGS:
            return _TAGS[node.tag]
        if node.tag not in _KNOWN_TAGS:
            self._findings.warn(
                mark, path, f"unknown tag {node.tag}: it has no effect (!reset and !override have)"
            )
        return ""

    def _scalar(self, node: yaml.ScalarNode, mark: Mark, key: Mark | None, tag: Tag) -> Node:
        text: str = node.value
        # A quoted scalar is a string, unless it is said to be something else: !!int "7".
        if node.tag == _STRING or (node.style and not node.tag.startswith(_CORE_PREFIX)):
            return Node(text, mark, key, tag)
        return Node(resolve(text), mark, key, tag, text)

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        inherited: list[Node] = []
        seen: dict[tuple[str, bool], Mark] = {}
        for key_node, value_node in node.value:
            mark = _mark(key_node.start_mark, self._shown)
            if not isinstance(key_node, yaml.ScalarNode):
                self._findings.add(mark, path, "a key must be a string")
                continue
            key: str = key_node.value
            at = f"{path}.{key}" if path else key
            value = self.build(value_node, mark, at)
            merges = key == "<<" and key_node.tag == _PLAIN
            once = (key, merges)  # a quoted "<<" is a key as any other
            if merges and once not in seen:
                seen[once] = mark
                inherited.extend(self._merge_sources(value, at))
            elif once in seen:
                hint = "merge a list: <<: [*a, *b]" if merges else "keep one"
                self._findings.add(
                    mark, at, f"the key is given twice, first on line {seen[once].line}", hint
                )
            else:
                seen[once] = mark
                entries[key] = value
        for source in inherited:
            for key, value in source.entries.items():
                entries.setdefault(key, value)
        return entries

    def _merge_sources(self, value: Node, at: str) -> list[Node]:
        sources = value.items if isinstance(value.value, list) else [value]
        for source in sources:
            if not isinstance(source.value, dict):
                self._findings.add(
                    source.mark, at, f"expected a mapping to merge, got {source.described()}"
                )
        return sources
