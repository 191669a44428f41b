"""The kinds of single value an attribute can have: how each is read, and its JSON Schema.

Reading checks a node and gives it back in canonical form (numbers in bytes and seconds, long
forms). The attribute tables are made of these; merging and the JSON Schema go by them too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.compose.node import Node, Verbatim
from orchestrator.compose.notation import cpu_count, go_duration, go_float
from orchestrator.compose.problems import Findings, did_you_mean, one_of
from orchestrator.errors import InvalidInput
from orchestrator.model.quantities import parse_bytes, parse_cpus, parse_duration
from orchestrator.model.value import dataclass

_DIGITS = re.compile(r"-?[0-9]+")
NAME = re.compile(r"[a-zA-Z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading a file needs to know: where its relative paths start, and whose home `~` is.

    With `relative_to`, the project's directory, the paths that a stack holds stay relative: as
    they are written, or to that directory in a file that lies elsewhere. Those of files that are
    read to load it are made absolute all the same.
    """

    findings: Findings
    base: Path
    home: str = "/"
    relative_to: Path | None = None

    def absolute(self, path: str, *, to_read: bool = False) -> str:
        """The path made absolute and tidy, without looking at the disk."""
        if self.relative_to and not to_read:
            return self._relative(path, self.relative_to)
        if path == "~" or path.startswith("~/"):
            path = self.home + path[1:]
        # Not Path.resolve: a symbolic link in a mount's source is the user's choice.
        return _tidy(str(self.base / path))

    def _relative(self, path: str, directory: Path) -> str:
        if self.base == directory or path.startswith(("/", "~")):
            return path
        return os.path.relpath(_tidy(str(self.base / path)), directory)

    def expected(self, node: Node, at: str, what: str, hint: str = "") -> Node:
        """Refuse a node for what it is."""
        if node.value is None and not hint:
            hint = "give it a value or remove the key"
        return self.findings.refuse(node, at, f"expected {what}, got {node.described()}", hint)


def _tidy(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if parts:
                parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


class Kind:
    """A kind of value; the base of all others."""

    __slots__ = ()

    def read(self, node: Node, at: str, reading: Reading) -> Node:
        """The node in canonical form, or an invalid one after a problem was noted."""
        raise NotImplementedError

    def read_many(self, node: Node, at: str, reading: Reading) -> list[Node]:
        """A list's item, which a short form may turn into several (a range of ports)."""
        return [self.read(node, at, reading)]

    def schema(self) -> dict[str, Any]:
        """What the kind is in JSON Schema."""
        raise NotImplementedError


def passes(node: Node) -> bool:
    """Whether a node needs no reading: it was refused already, only says "remove this", or still
    has variables in it."""
    return node.invalid or node.tag == "reset" or isinstance(node.value, Verbatim)


@dataclass(frozen=True, slots=True)
class Text(Kind):
    """A string, perhaps of a certain form."""

    pattern: re.Pattern[str] | None = None
    form: str = "a string"
    hint: str = ""

    def read(self, node: Node, at: str, reading: Reading) -> Node:
        if passes(node):
            return node
        if not isinstance(node.value, str):
            scalar = isinstance(node.value, (bool, int, float))
            hint = f'put it in quotes: "{node.text}"' if scalar and node.text else ""
            return reading.expected(node, at, self.form, hint)
        if self.pattern and not self.pattern.fullmatch(node.value):
            return reading.expected(node, at, self.form, self.hint)
        return node

    def schema(self) -> dict[str, Any]:
        if self.pattern:
            return {"type": "string", "pattern": f"^(?:{self.pattern.pattern})$|\\$"}
        return {"type": "string"}


@dataclass(frozen=True, slots=True)
class Choice(Kind):
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, node: Node, at: str, reading: Reading) -> Node:
        if passes(node) or node.value in self.words:
            return node
        hint = did_you_mean(node.string, self.words)
        return reading.expected(node, at, one_of(self.words), hint)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"enum": list(self.words)}, {"type": "string", "pattern": "\\$"}]}


@dataclass(frozen=True, slots=True)
class Scalar(Kind):
    """A string, number, boolean or nothing, kept as the string a process would see."""

    nothing: bool = True
    pattern: re.Pattern[str] | None = None
    form: str = "a string or a number"

    def read(self, node: Node, at: str, reading: Reading) -> Node:
        value = node.value
        if passes(node) or (value is None and self.nothing):
            return node
        if isinstance(value, bool):
            text = "true" if value else "false"
        elif isinstance(value, int):
            text = node.text if _DIGITS.fullmatch(node.text) else str(value)
        elif isinstance(value, float):
            text = go_float(value)
        else:
            text = value if isinstance(value, str) else ""
        if isinstance(value, (dict, list)) or value is None:
            return reading.expected(node, at, self.form)
        if self.pattern and not self.pattern.fullmatch(text):
            return reading.expected(node, at, self.form)
        return node.holding(text)

    def schema(self) -> dict[str, Any]:
        return {"type": ["string", "number", "boolean", *(["null"] if self.nothing else [])]}


@dataclass(frozen=True, slots=True)
class Flag(Kind):
    """True or false, also as a word that a variable brought."""

    def read(self, node: Node, at: str, reading: Reading) -> Node:
        if passes(node) or isinstance(node.value, bool):
            return node
        word = node.string.lower()
        if word in ("true", "t", "1", "yes", "y", "on"):
            return node.holding(True)
        if word in ("false", "f", "0", "no", "n", "off"):
            return node.holding(False)
        return reading.expected(node, at, "true or false")

    def schema(self) -> dict[str, Any]:
        return {"type": ["boolean", "string"]}


@dataclass(frozen=True, slots=True)
class Whole(Kind):
    """A whole number within bounds."""

    least: int = 0
    most: int | None = None

    def read(self, node: Node, at: str, reading: Reading) -> Node:
        if passes(node):
            return node
        value = node.value
        if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]{1,19}", value):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and self._fits(value):
            return node.holding(value)
        return reading.expected(node, at, f"a whole number{self._bounds()}")

    def _fits(self, value: int) -> bool:
        return self.least <= value and (self.most is None or value <= self.most)

    def _bounds(self) -> str:
        if self.most is not None:
            return f" from {self.least} to {self.most}"
        return f", {self.least} or more"

    def schema(self) -> dict[str, Any]:
        number: dict[str, Any] = {"type": "integer", "minimum": self.least}
        if self.most is not None:
            number["maximum"] = self.most
        return {"anyOf": [number, {"type": "string"}]}


@dataclass(frozen=True, slots=True)
class Number(Kind):
    """A number."""

    def read(self, node: Node, at: str, reading: Reading) -> Node:
        if passes(node):
            return node
        if isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
            return node
        try:
            return node.holding(float(node.string))
        except ValueError:
            return reading.expected(node, at, "a number")

    def schema(self) -> dict[str, Any]:
        return {"type": ["number", "string"]}


@dataclass(frozen=True, slots=True)
class Quantity(Kind):
    """An amount with a unit, read by one of the parsers of model.quantities."""

    parse: Callable[[Any], float]
    form: str
    numbers: bool = True
    unlimited: bool = False
    write: Callable[[Any], Any] = str

    def read(self, node: Node, at: str, reading: Reading) -> Node:
        if passes(node):
            return node
        value = node.value
        if self.unlimited and value in (-1, "-1"):
            return node.holding(-1)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if isinstance(value, str) or (number and self.numbers):
            try:
                return node.holding(self.parse(value))
            except InvalidInput as error:
                return reading.expected(node, at, self.form, error.hint)
        hint = f'give it a unit: "{node.text}s"' if number and node.text else ""
        return reading.expected(node, at, self.form, hint)

    def schema(self) -> dict[str, Any]:
        return {"type": ["number", "string"] if self.numbers else "string"}


@dataclass(frozen=True, slots=True)
class Mode(Kind):
    """File permissions: octal as written, 0440 or "0440"."""

    def read(self, node: Node, at: str, reading: Reading) -> Node:
        if passes(node):
            return node
        text = node.text or str(node.value)
        if isinstance(node.value, (int, str)) and re.fullmatch(r"0o?[0-7]{1,5}", text):
            return node.holding(int(text.lower().replace("o", ""), 8))
        if isinstance(node.value, str) and re.fullmatch(r"[0-7]{3,4}", text):
            return node.holding(int(text, 8))
        # Without a leading zero YAML has a decimal number, and so has Compose.
        if isinstance(node.value, int) and 0 <= node.value <= 0o7777:
            return node
        return reading.expected(node, at, "file permissions", "write them in octal: 0440")

    def schema(self) -> dict[str, Any]:
        return {"type": ["number", "string"]}


@dataclass(frozen=True, slots=True)
class FilePath(Kind):
    """A path on this machine, made absolute; `to_read` is one of a file that loading reads."""

    to_read: bool = False

    def read(self, node: Node, at: str, reading: Reading) -> Node:
        if passes(node):
            return node
        if not node.string:
            return reading.expected(node, at, "a path")
        return node.holding(reading.absolute(node.string, to_read=self.to_read))

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


@dataclass(frozen=True, slots=True)
class Parsed(Kind):
    """A string that a parser of the standard library must accept: an address, a subnet."""

    parse: Callable[[str], object]
    form: str

    def read(self, node: Node, at: str, reading: Reading) -> Node:
        if passes(node):
            return node
        try:
            if node.string:
                self.parse(node.string)
                return node
        except ValueError:
            pass
        return reading.expected(node, at, self.form)

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


@dataclass(frozen=True, slots=True)
class Anything(Kind):
    """What nobody looks into: an extension."""

    def read(self, node: Node, at: str, reading: Reading) -> Node:
        return node

    def schema(self) -> dict[str, Any]:
        return {}


ANYTHING = Anything()
TEXT = Text()
FLAG = Flag()
WHOLE = Whole()
SIZE = Quantity(parse_bytes, 'a size such as "512m"')
DURATION = Quantity(parse_duration, 'a duration such as "1m30s"', numbers=False, write=go_duration)
CPUS = Quantity(parse_cpus, "a number of CPUs such as 0.5", write=cpu_count)
