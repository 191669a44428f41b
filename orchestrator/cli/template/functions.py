"""The functions that a template may call: Go's and Docker's. Pure.

Source: Go's text/template, "Functions"; Docker's "Format command and log output".
"""

from __future__ import annotations

import html
import json
import re
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.cli.template.values import Row, as_json, shown, true, type_name

_VERB = re.compile(r"%([-+# 0]*)(\*|\d+)?(?:\.(\d+))?([a-zA-Z%])")


class Misused(Exception):
    """A function was given what it cannot work with."""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Misused(f"wrong type for value; expected string; got {type_name(value)}")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Misused(f"wrong type for value; expected int; got {type_name(value)}")
    return value


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if value is None:
            raise Misused("index of untyped nil")
        if isinstance(value, Mapping):
            zero = "" if all(isinstance(each, str) for each in value.values()) else None
            value = value.get(_text(key), zero)
        elif isinstance(value, list | str):
            if not -1 < _number(key) < len(value):
                raise Misused(f"index out of range: {key}")
            value = ord(value[key]) if isinstance(value, str) else value[key]
        else:
            raise Misused(f"can't index item of type {type_name(value)}")
    return value


def _slice(value: Any, *ends: Any) -> Any:
    if not isinstance(value, list | str):
        raise Misused(f"can't slice item of type {type_name(value)}")
    if len(ends) > 2:
        raise Misused(f"too many slice indexes: {len(ends)}")
    first, last = [*map(_number, ends), *([0, len(value)][len(ends) :])]
    if not 0 <= first <= last <= len(value):
        raise Misused(f"index out of range: {max(first, last)}")
    return value[first:last]


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, list | Mapping):
        return len(value)
    raise Misused(f"len of {type_name(value)}")


def _join(values: Any, separator: str) -> str:
    if isinstance(values, str):
        return values  # a table's heading
    return _text(separator).join(shown(each) for each in values or ())


def _split(value: Any, separator: Any) -> list[str]:
    return _text(value).split(_text(separator)) if separator else list(_text(value))


def _title(value: Any) -> str:
    return re.sub(r"(^|[^\w'])(\w)", lambda m: m[1] + m[2].upper(), _text(value))


def _pad(value: Any, before: Any, after: Any) -> str:
    return value and " " * _number(before) + _text(value) + " " * _number(after)


def _truncate(value: Any, length: Any) -> str:
    return _text(value)[: _number(length)]


def _print(*values: Any) -> str:
    texts = []
    for number, value in enumerate(values):
        both = number and not isinstance(value, str) and not isinstance(values[number - 1], str)
        texts.append((" " if both else "") + shown(value))
    return "".join(texts)


def _println(*values: Any) -> str:
    return " ".join(map(shown, values)) + "\n"


def _printf(pattern: Any, *values: Any) -> str:
    left = list(values)

    def verb(found: re.Match[str]) -> str:
        flags, width, precision, letter = found.groups()
        if letter == "%":
            return "%"
        if width == "*" and left:
            width = str(left.pop(0))
        if not left:
            return f"%!{letter}(MISSING)"
        return _formatted(left.pop(0), flags, width or "", precision, letter)

    text = _VERB.sub(verb, _text(pattern))
    if left:
        extra = ", ".join(f"{type_name(each)}={shown(each)}" for each in left)
        text += f"%!(EXTRA {extra})"
    return text


def _formatted(value: Any, flags: str, width: str, precision: str | None, letter: str) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    text = _converted(value, "+" if "+" in flags else "", precision, letter)
    if text is None:
        return f"%!{letter}({type_name(value)}={shown(value)})"
    if not width:
        return text
    if "-" in flags:
        return text.ljust(int(width))
    return text.zfill(int(width)) if "0" in flags and number else text.rjust(int(width))


def _converted(value: Any, sign: str, precision: str | None, letter: str) -> str | None:
    """The value by a verb of printf; None where the verb is not for such a value."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    text: str | None = None
    if letter == "t" and isinstance(value, bool):
        text = shown(value)
    elif letter == "T":
        text = type_name(value)
    elif letter in "vsq" and not (letter == "s" and (whole or isinstance(value, float | bool))):
        text = shown(value)
        if precision is not None and isinstance(value, str):
            text = text[: int(precision)]
        text = json.dumps(text, ensure_ascii=False) if letter == "q" else text
    elif letter in "dxXobc" and whole:
        text = format(value, (sign if letter == "d" else "") + letter)
    elif letter in "xX" and isinstance(value, str):
        text = value.encode().hex() if letter == "x" else value.encode().hex().upper()
    elif letter in "fFeEgG" and isinstance(value, float):
        text = format(value, f"{sign}.{precision or 6}{letter}")
    return text


def _equal(first: Any, *others: Any) -> bool:
    if not others:
        raise Misused("missing argument for comparison")
    return any(_comparable(first, other) and first == other for other in others)


def _comparable(first: Any, second: Any) -> bool:
    if first is None or second is None:
        return True
    if isinstance(first, dict | list | Row) or isinstance(second, dict | list | Row):
        raise Misused("non-comparable type")
    kinds = [_kind(first), _kind(second)]
    if kinds[0] is not kinds[1]:
        raise Misused("incompatible types for comparison")
    return True


def _kind(value: Any) -> type:
    kinds = (bool, str, int, float)
    return next((kind for kind in kinds if isinstance(value, kind)), object)


def _less(first: Any, second: Any) -> bool:
    _comparable(first, second)
    if first is None or second is None or isinstance(first, bool):
        raise Misused("invalid type for comparison")
    return bool(first < second)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "and": lambda *values: next((each for each in values if not true(each)), values[-1]),
    "or": lambda *values: next((each for each in values if true(each)), values[-1]),
    "not": lambda value: not true(value),
    "eq": _equal,
    "ne": lambda first, second: not _equal(first, second),
    "lt": _less,
    "le": lambda first, second: _less(first, second) or first == second,
    "gt": lambda first, second: not _less(first, second) and first != second,
    "ge": lambda first, second: not _less(first, second),
    "index": _index,
    "slice": _slice,
    "len": _length,
    "print": _print,
    "printf": _printf,
    "println": _println,
    "html": lambda *values: html.escape(_print(*values)).replace("&quot;", "&#34;"),
    "js": lambda *values: json.dumps(_print(*values))[1:-1],
    "urlquery": lambda *values: urllib.parse.quote_plus(_print(*values)),
    "json": as_json,
    "join": _join,
    "split": _split,
    "title": _title,
    "lower": lambda value: _text(value).lower(),
    "upper": lambda value: _text(value).upper(),
    "pad": _pad,
    "truncate": _truncate,
}

# In a table's heading a column's name stands where its value would: what shortens or takes values
# apart leaves it as it is.  Source: docker/cli's `templates.HeaderFunctions`.
HEADING_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **FUNCTIONS,
    **dict.fromkeys(
        ("json", "title", "lower", "upper"), lambda *values: values[0] if values else ""
    ),
    **dict.fromkeys(("split", "truncate", "slice", "index"), lambda value, *_rest: value),
    "join": lambda value, *_rest: value,
}
