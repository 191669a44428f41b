"""Variables in words: what the shell would make of them."""

from __future__ import annotations

import subprocess
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.build.expand import BadExpansionError, expand, expand_document

VALUES = {"a": "one", "empty": "", "path": "/usr/local/bin/tool.tar.gz", "b_2": "two"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$a", "one"),
        ("${a}x", "onex"),
        ("$a.$b_2-$none", "one.two-"),
        ("$ 5$", "$ 5$"),
        ("\\$a", "$a"),
        ("'$a'", "$a"),
        ('"$a b"', "one b"),
        ('"\\$a \\x"', "$a \\x"),
        ("a\\ b", "a b"),
        ("trailing\\", "trailing"),
        ("${none:-x}${empty:-x}${a:-x}", "xxone"),
        ("${none-x}${empty-x}${a-x}", "xone"),
        ("${none:+x}${empty:+x}${a:+x}", "x"),
        ("${none+x}${empty+x}${a+x}", "xx"),
        ("${a:?no}${empty?no}", "one"),
        ("${none:-${a}-$b_2}", "one-two"),
        ("${none:-'}'}", "}"),
        ("${path#*/}", "usr/local/bin/tool.tar.gz"),
        ("${path##*/}", "tool.tar.gz"),
        ("${path%.*}", "/usr/local/bin/tool.tar"),
        ("${path%%.*}", "/usr/local/bin/tool"),
        ("${path%nothing}", "/usr/local/bin/tool.tar.gz"),
        ("${path/local/share}", "/usr/share/bin/tool.tar.gz"),
        ("${path/l?c/X}", "/usr/Xal/bin/tool.tar.gz"),
        ("${path//\\//_}", "_usr_local_bin_tool.tar.gz"),
        ("${a/e}", "on"),
    ],
)
def test_words_are_expanded(text: str, expected: str) -> None:
    assert expand(text, VALUES) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("${a", "not closed"),
        ("${}", "name must follow"),
        ("${a!b}", "unknown modifier"),
        ("${a:-x", "not closed"),
        ("'a", "single quote"),
        ('"a', "double quote"),
        ("${none:?is needed}", "none: is needed"),
        ("${none?}", "none: is not set"),
    ],
)
def test_mistakes_are_told(text: str, problem: str) -> None:
    with pytest.raises(BadExpansionError, match=problem):
        expand(text, VALUES)


def test_another_escape_character_can_be_chosen() -> None:
    assert expand("`$a c:\\$a", VALUES, "`") == "$a c:\\one"


def test_quotes_in_a_document_stay() -> None:
    text = "'$a' \"${b_2}\" \\$a \\n \\\\ it's"
    assert expand_document(text, VALUES) == "'one' \"two\" $a \\n \\ it's"


WORD = st.text(alphabet="ab_ $'\"\\{}:-+?#%/*x", max_size=20)


@given(WORD, st.booleans())
def test_any_word_is_expanded_or_refused(text: str, document: bool) -> None:
    with suppress(BadExpansionError):
        (expand_document if document else expand)(text, {"a": "x'\"$b\\", "b": ""})


@given(st.text(max_size=30))
def test_a_value_is_never_expanded_again(value: str) -> None:
    assert expand("$v|${v}|${none:-$v}", {"v": value}) == f"{value}|{value}|{value}"


PARTS = st.lists(
    st.sampled_from(
        ["x", "$a", "${a}", "${e:-d}", "${e-d}", "${n:-d}", "${n+d}", "${a:+d}", "'q $a'",
         '"q ${a}"', "\\$", "${p#*/}", "${p##*/}", "${p%.*}", "${p%%.*}", '"${n:-$a}"', "."]
    ),
    min_size=1,
    max_size=6,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(PARTS)
def test_the_shell_agrees(parts: list[str]) -> None:
    values = {"a": "one", "e": "", "p": "/x/y.tar.gz"}
    word = "".join(parts)
    done = subprocess.run(
        ["sh", "-c", f"printf %s {word}"], env=values, capture_output=True, text=True, check=True
    )
    assert expand(word, values) == done.stdout
