"""The quickly declared dataclasses behave as the standard library's."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from orchestrator.model import value

CALLS: list[Callable[[Any], Any]] = [
    lambda cls: cls(name="a"),
    lambda cls: cls(name="a", size=2, marks={"x": 1}),
    lambda cls: cls(),
    lambda cls: cls(name="a", colour="red"),
    lambda cls: cls("a"),
]
PLAIN_CALLS: list[Callable[[Any], Any]] = [
    lambda cls: cls("a"),
    lambda cls: cls("a", 2),
    lambda cls: cls("a", size=2),
    lambda cls: cls("a", 2, 3),
    lambda cls: cls("a", name="b"),
    lambda cls: cls(size=2),
]


def declared(decorator: Any) -> tuple[Any, Any]:
    @decorator(frozen=True, slots=True, kw_only=True)
    class Thing:
        name: str
        size: int = 1
        secret: str = dataclasses.field(default="s", repr=False)
        marks: Mapping[str, int] = dataclasses.field(default_factory=dict)

        @property
        def double(self) -> int:
            return self.size * 2

    @decorator(frozen=True, slots=True)
    class Plain:
        name: str
        size: int = 1

    return Thing, Plain


OURS, OURS_PLAIN = declared(value.dataclass)
THEIRS, THEIRS_PLAIN = declared(dataclasses.dataclass)


def outcome(call: Callable[[Any], Any], cls: Any) -> Any:
    try:
        made = call(cls)
    except TypeError:
        return TypeError
    return dataclasses.asdict(made), repr(made), hash(made) if cls.__name__ == "Plain" else None


@pytest.mark.parametrize("call", CALLS)
def test_it_is_made_of_what_the_librarys_is_made_of(call: Callable[[Any], Any]) -> None:
    assert outcome(call, OURS) == outcome(call, THEIRS)


@pytest.mark.parametrize("call", PLAIN_CALLS)
def test_arguments_may_go_by_their_place(call: Callable[[Any], Any]) -> None:
    assert outcome(call, OURS_PLAIN) == outcome(call, THEIRS_PLAIN)


def test_what_is_wrong_with_an_argument_is_said() -> None:
    for call, what in (
        (CALLS[2], "missing argument 'name'"),
        (CALLS[3], "unexpected argument 'colour'"),
        (PLAIN_CALLS[4], "argument 'name' is given twice"),
    ):
        with pytest.raises(TypeError, match=re.escape(what)):
            call(OURS if call in CALLS else OURS_PLAIN)


def test_it_is_equal_by_its_fields_to_its_own_kind_only() -> None:
    assert OURS(name="a") == OURS(name="a")
    assert OURS(name="a") != OURS(name="b")
    assert OURS_PLAIN("a") != THEIRS_PLAIN("a")
    assert len({OURS_PLAIN("a"), OURS_PLAIN("a"), OURS_PLAIN("b")}) == 2


def test_it_is_frozen_and_has_slots() -> None:
    made = OURS(name="a")
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.name = "b"
    with pytest.raises(dataclasses.FrozenInstanceError):
        del made.name
    assert not hasattr(made, "__dict__")
    assert made.double == 2


def test_replace_makes_another_and_each_has_defaults_of_its_own() -> None:
    made = OURS(name="a")
    assert dataclasses.replace(made, size=3) == OURS(name="a", size=3)
    assert made.marks is not OURS(name="a").marks
    assert [f.name for f in dataclasses.fields(made)] == ["name", "size", "secret", "marks"]
