"""What Go's templates make of values that came as JSON. Pure.

An object is a struct (a plain dict: its fields are known, a wrong one is an error) or a map (`Map`:
any key may be absent). `Row` is a line of a list, whose values are computed when asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

NOTHING = "<no value>"


class Map(dict[str, Any]):
    """An object whose keys are data, such as labels."""


class NoList(list[Any]):
    """A list that JSON had as null: Go's nil slice, which prints as an empty one."""


class NoMap(Map):
    """A map that JSON had as null: Go's nil map, which prints as an empty one."""


class Struct(dict[str, Any]):
    """An object of which some fields may be absent without being wrong: they are as told here."""

    optional: Mapping[str, Any] = MappingProxyType({})


class Row:
    """A line of a list: values by name, and functions that take arguments (`.Label "a"`)."""

    def __init__(
        self,
        values: Mapping[str, Callable[[], Any]],
        methods: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        self.values = values
        self.methods = methods or {}

    def plain(self) -> dict[str, Any]:
        """Every value by its name, names sorted, as Docker's JSON of a line has them."""
        return {name: self.values[name]() for name in sorted(self.values)}


class Absent(Exception):
    """There is no such field; the text says which and of what."""


def field(value: Any, name: str) -> Any:
    """A field of a value; a function where it is a method.  Raises: Absent."""
    if isinstance(value, Row):
        if name in value.methods:
            return value.methods[name]
        if name in value.values:
            return value.values[name]()
        raise Absent(f"can't evaluate field {name}: there are {', '.join(sorted(value.values))}")
    if isinstance(value, Map):
        return value.get(name)
    if isinstance(value, Mapping):
        if name in value:
            return value[name]
        # Go's names of fields differ from JSON's in their case alone: `.ID` is "Id".
        for each in value:
            if each.lower() == name.lower():
                return value[each]
        if isinstance(value, Struct) and name in value.optional:
            return value.optional[name]
        raise Absent(f'map has no entry for key "{name}"')
    if value is None:
        raise Absent(f"nil pointer evaluating field {name}")
    raise Absent(f"can't evaluate field {name} in type {type_name(value)}")


def true(value: Any) -> bool:
    """Go's truth: empty things are false, structs never are."""
    if isinstance(value, Row) or (isinstance(value, dict) and not isinstance(value, Map)):
        return True
    return bool(value)


def type_name(value: Any) -> str:
    """The Go type that a value stands for, for messages."""
    names = ((bool, "bool"), (int, "int"), (float, "float64"), (str, "string"), (list, "slice"),
             (Map, "map"), (dict, "struct"))  # fmt: skip
    return next((name for kind, name in names if isinstance(value, kind)), "nil")


def printed(value: Any) -> str:
    """The value as a template prints it; `<no value>` for nothing."""
    return NOTHING if value is None else shown(value)


def shown(value: Any) -> str:
    """The value as Go's `%v` writes it."""
    match value:
        case None:
            text = "<nil>"
        case bool():
            text = "true" if value else "false"
        case float():
            text = _float(value)
        case list() | tuple():
            text = f"[{' '.join(shown(each) for each in value)}]"
        case Row():
            text = shown(Map(value.plain()))
        case Map():
            text = f"map[{' '.join(f'{k}:{shown(value[k])}' for k in sorted(value))}]"
        case Mapping():
            text = f"{{{' '.join(shown(each) for each in value.values())}}}"
        case _:
            text = str(value)
    return text


def _float(value: float) -> str:
    """Shortest digits; an exponent below 1e-4, and above what the digits reach (Go's `%v`)."""
    plain = repr(value).removesuffix(".0")
    if 1e-4 <= abs(value) < 1e6 or value == 0 or ("." in plain and "e" not in plain):
        return plain
    digits = next(d for d in range(18) if float(f"{value:.{d}e}") == value or d == 17)
    return f"{value:.{digits}e}"


def as_json(value: Any) -> str:
    """The value as Go's encoder writes it: structs in their order, maps sorted."""
    return json.dumps(_sorted(value), separators=(",", ":"), ensure_ascii=False)


def _sorted(value: Any) -> Any:
    if isinstance(value, NoList | NoMap):
        return None
    if isinstance(value, Row):
        return value.plain()
    if isinstance(value, Mapping):
        names = sorted(value) if isinstance(value, Map) else value
        return {name: _sorted(value[name]) for name in names}
    if isinstance(value, list | tuple):
        return [_sorted(each) for each in value]
    return value
