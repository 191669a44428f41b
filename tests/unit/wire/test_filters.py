"""The filters of a query, in both of Docker's forms."""

from __future__ import annotations

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.wire.filters import Filters


def of(text: str, *known: str) -> Filters:
    return Filters.parse(text, known or ("name", "label", "label!", "dangling", "status"))


def test_both_forms_are_read() -> None:
    assert of('{"name": ["a", "b"]}')["name"] == ("a", "b")
    assert of('{"name": {"a": true, "b": false}}')["name"] == ("a",)
    assert "name" not in of("")
    assert "name" not in of('{"name": []}')


@pytest.mark.parametrize("text", ["[]", "{", '{"name": "a"}', '{"other": ["a"]}'])
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        of(text)


def test_what_was_not_asked_lets_everything_through() -> None:
    none = of("")
    assert none.exact("name", "x")
    assert none.prefix("name", "x")
    assert none.pattern("name", "x")
    assert none.labels({})
    assert none.flag("dangling") is None


def test_values_are_alternatives_and_labels_are_not() -> None:
    names = of('{"name": ["a", "b"]}')
    assert names.exact("name", "b")
    assert not names.exact("name", "ab")
    assert names.prefix("name", "ab")
    assert names.pattern("name", "cab")
    labels = of('{"label": ["a", "b=1"]}')
    assert labels.labels({"a": "", "b": "1"})
    assert not labels.labels({"a": "", "b": "2"})
    assert not labels.labels({"b": "1"})
    assert not of('{"label!": ["a"]}').labels({"a": "x"})


def test_a_name_that_is_no_expression_is_plain_text() -> None:
    assert of('{"name": ["a["]}').pattern("name", "xa[")
    assert of('{"name": ["^a.c$"]}').pattern("name", "abc")
    assert not of('{"name": ["^a.c$"]}').pattern("name", "abcd")


def test_values_of_a_kind_are_checked() -> None:
    assert of('{"dangling": ["True"]}').flag("dangling") is True
    assert of('{"dangling": ["0"]}').flag("dangling") is False
    with pytest.raises(InvalidInput, match="dangling=maybe"):
        of('{"dangling": ["maybe"]}').flag("dangling")
    with pytest.raises(InvalidInput, match="status=mad"):
        of('{"status": ["mad"]}').one_of("status", ("good",))
    with pytest.raises(InvalidInput, match="name=x"):
        of('{"name": ["x"]}').each("name", int, "a number")
