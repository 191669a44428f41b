"""Variables are replaced as the compose specification says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.compose.template import TemplateError, substitute

ENVIRON = {"SET": "value", "EMPTY": "", "OTHER": "x"}
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
PLAIN = st.text(st.characters(exclude_characters="${}", exclude_categories=["Cs"]), max_size=20)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("$SET", "value"),
        ("${SET}", "value"),
        ("a${SET}b$SET-c", "avaluebvalue-c"),
        ("$$SET", "$SET"),
        ("$$$$", "$$"),
        ("$${SET}", "${SET}"),
        ("$NONE|", "|"),
        ("$", "$"),
        ("$(date) costs $ 5", "$(date) costs $ 5"),
        ('${SET:-{"a": {}}}!', "value!"),
        ('${NONE:-{"a": "${SET}"}}!', '{"a": "value"}!'),
        ("${NONE:-{}", "{"),
        ("${SET:-d}", "value"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${NONE-d}", "d"),
        ("${NONE:-}", ""),
        ("${SET:+x}", "x"),
        ("${EMPTY:+x}", ""),
        ("${EMPTY+x}", "x"),
        ("${NONE+x}", ""),
        ("${SET:?no}", "value"),
        ("${EMPTY?no}", ""),
        ("${NONE:-${OTHER}}", "x"),
        ("${NONE:-${NONE:-${SET}}}!", "value!"),
        ("${NONE:-a-b:?c}", "a-b:?c"),
        ("${NONE:-$$}", "$"),
        ("${NONE:-http://h:80/p}", "http://h:80/p"),
        ("${SET:-${NONE:?never looked at}}", "value"),
        ("${NONE:-{}}", "{}"),
        ("${NONE:+${OTHER}}", ""),
        ("${SET:+${OTHER}}", "x"),
        ("été $SET", "été value"),
    ],
)
def test_a_variable_is_replaced(text: str, result: str) -> None:
    assert substitute(text, ENVIRON.get) == result


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("${SET", "${ is not closed by a }"),
        ("${}", "${} does not start with a variable's name"),
        ("${1A}", "${1A} does not start with a variable's name"),
        ("${A.b}", "${A.b} is not a variable"),
        ("${A:=x}", "${A:=x} is not a variable"),
        ("${NONE?}", "the variable NONE is required"),
        ("${NONE?why}", "the variable NONE is required: why"),
        ("${EMPTY:?why}", "the variable EMPTY is required: why"),
        ("${NONE:?see $OTHER}", "the variable NONE is required: see x"),
        ("${NONE:-${NONE?deep}}", "the variable NONE is required: deep"),
    ],
)
def test_what_is_no_template_is_refused(text: str, what: str) -> None:
    with pytest.raises(TemplateError) as caught:
        substitute(text, ENVIRON.get)
    assert caught.value.what == what


def test_only_variables_without_value_and_default_are_told() -> None:
    told: list[str] = []
    substitute("$A ${B:-b} ${C:+c} ${D} ${E:-$F} $SET", ENVIRON.get, told.append)
    assert told == ["A", "D", "F"]


@given(st.text())
def test_text_with_its_dollars_doubled_stays_as_it_was(text: str) -> None:
    assert substitute(text.replace("$", "$$"), {}.get) == text


@given(PLAIN, NAMES, PLAIN, PLAIN)
def test_a_value_comes_between_what_is_around_it(
    before: str, name: str, value: str, after: str
) -> None:
    assert substitute(f"{before}${{{name}}}{after}", {name: value}.get) == before + value + after


@given(NAMES, PLAIN, st.sampled_from([":-", "-"]), st.integers(0, 5))
def test_defaults_nest_to_any_depth(name: str, default: str, sign: str, depth: int) -> None:
    text = default
    for _ in range(depth):
        text = f"${{{name}{sign}{text}}}"
    assert substitute(text, {}.get) == default


@given(NAMES, PLAIN, PLAIN)
def test_with_a_value_the_alternative_is_taken_and_the_default_is_not(
    name: str, value: str, word: str
) -> None:
    lookup = {name: value}.get
    assert substitute(f"${{{name}+{word}}}", lookup) == word
    assert substitute(f"${{{name}-{word}}}", lookup) == value
    assert substitute(f"${{{name}:+{word}}}", lookup) == (word if value else "")
    assert substitute(f"${{{name}:-{word}}}", lookup) == (value or word)


@given(st.text(st.sampled_from("${}AB:-?+ x"), max_size=30))
def test_any_text_is_replaced_or_refused(text: str) -> None:
    try:
        substitute(text, {"A": "a"}.get)
    except TemplateError:
        return
