"""The `filters` of a list: which values are asked for under which name.

Source: the Docker Engine API reference, "filters": a JSON object of lists, or of objects whose
names are the values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from orchestrator.errors import InvalidInput

T = TypeVar("T")
_YES = ("1", "true", "t", "yes")
_NO = ("0", "false", "f", "no")


class Filters:
    """What was asked for; a name that was not has no values and lets everything through."""

    def __init__(self, values: Mapping[str, tuple[str, ...]]) -> None:
        self._values = values

    @classmethod
    def parse(cls, text: str, known: Iterable[str]) -> Filters:
        """The filters in a query.

        Raises: InvalidInput: it is not such a JSON object, or names a filter that is not known.
        """
        try:
            found = json.loads(text or "{}")
            values = {name: tuple(map(str, _listed(each))) for name, each in found.items()}
        except (ValueError, AttributeError, TypeError) as error:
            raise InvalidInput(
                f"invalid filters: {text}",
                code="filter-invalid",
                about="filters",
                hint='send a JSON object of lists: {"label": ["a=b"]}',
            ) from error
        accepted = list(known)
        for name in values:
            if name not in accepted:
                raise _invalid(name, f"known ones are {', '.join(sorted(accepted))}")
        return cls({name: each for name, each in values.items() if each})

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __getitem__(self, name: str) -> tuple[str, ...]:
        """The values under a name, none where it was not asked for."""
        return self._values.get(name, ())

    def exact(self, name: str, *found: str) -> bool:
        """Whether one of `found` is one of the values, or nothing was asked."""
        return name not in self or any(each in self[name] for each in found)

    def prefix(self, name: str, *found: str) -> bool:
        """Whether one of `found` begins with a value, or nothing was asked."""
        return name not in self or any(
            each.startswith(value) for each in found for value in self[name]
        )

    def pattern(self, name: str, *found: str) -> bool:
        """Whether a value, as a regular expression, occurs in one of `found`, or nothing was asked.

        One that is no expression counts as plain text.
        """
        return name not in self or any(
            _occurs(value, each) for value in self[name] for each in found
        )

    def labels(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels have every one asked for by `label` (`name` or `name=value`), and
        none of those named by `label!`."""
        return all(_has(labels, each) for each in self["label"]) and not any(
            _has(labels, each) for each in self["label!"]
        )

    def flag(self, name: str, default: bool | None = None) -> bool | None:
        """The boolean under a name.  Raises: InvalidInput: it is none."""
        if name not in self:
            return default
        value = self[name][-1].lower()
        if value in _YES:
            return True
        if value in _NO:
            return False
        raise invalid_value(name, value, "true or false")

    def one_of(self, name: str, known: Iterable[str]) -> tuple[str, ...]:
        """The values under a name.  Raises: InvalidInput: one is not among those known."""
        accepted = list(known)
        for value in self[name]:
            if value not in accepted:
                raise invalid_value(name, value, ", ".join(accepted))
        return self[name]

    def each(self, name: str, read: Callable[[str], T], expected: str) -> list[T]:
        """The values under a name, read.  Raises: InvalidInput: `read` raised ValueError."""
        made = []
        for value in self[name]:
            try:
                made.append(read(value))
            except ValueError as error:
                raise invalid_value(name, value, expected) from error
        return made


def _listed(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return [name for name, wanted in value.items() if wanted]
    if isinstance(value, list):
        return value
    raise ValueError(value)


def _occurs(value: str, text: str) -> bool:
    try:
        return re.search(value, text) is not None
    except re.error:
        return value in text


def _has(labels: Mapping[str, str], wanted: str) -> bool:
    name, given, value = wanted.partition("=")
    return name in labels and (not given or labels[name] == value)


def invalid_value(name: str, value: str, expected: str) -> InvalidInput:
    """The error of a filter's value that means nothing."""
    return _invalid(f"{name}={value}", f"expected {expected}")


def _invalid(what: str, hint: str) -> InvalidInput:
    return InvalidInput(f"invalid filter '{what}'", code="filter-invalid", about=what, hint=hint)
