"""Files of variables are read as Compose reads them."""

from __future__ import annotations

import pytest

from orchestrator.compose.dotenv import parse_dotenv, parse_raw
from orchestrator.compose.problems import Findings, StackInvalid

ENVIRON = {"HOME": "/root", "USER": "ann"}


def parsed(text: str) -> dict[str, str]:
    findings = Findings()
    found = parse_dotenv(text, ".env", ENVIRON, findings)
    findings.raise_any()
    return found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A=1", {"A": "1"}),
        ("A = 1 ", {"A": "1"}),
        ("A: 1", {"A": "1"}),
        ("export A=1", {"A": "1"}),
        ("A=", {"A": ""}),
        ("# c\n\nA=1 # c", {"A": "1"}),
        ("A=b#c", {"A": "b#c"}),
        ("A=#c", {"A": "#c"}),
        ("A= #c", {"A": "#c"}),
        ("A=b\t#c", {"A": "b"}),
        ("A=a=b", {"A": "a=b"}),
        ("A='x $USER # y'", {"A": "x $USER # y"}),
        ('A="x $USER # y" # z', {"A": "x ann # y"}),
        (r'A="a\nb\t\"c\" \$USER"', {"A": 'a\nb\t"c" $USER'}),
        ("A='l1\nl2'\nB=2", {"A": "l1\nl2", "B": "2"}),
        ("A=$USER\nB=${A}-${NONE:-d}", {"A": "ann", "B": "ann-d"}),
        ("USER=bob\nA=$USER", {"USER": "bob", "A": "ann"}),
        ("USER\nNONE", {"USER": "ann"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A=pa$$word", {"A": "pa$word"}),
        ("A=cost$", {"A": "cost$"}),
        ("a.b-c=1", {"a.b-c": "1"}),
        ("A=1\nA=2", {"A": "2"}),
    ],
)
def test_a_file_of_variables(text: str, found: dict[str, str]) -> None:
    assert parsed(text) == found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("A=1\n=2", '.env:2:1: "=2" does not start with a variable\'s name'),
        ("A B=2", ".env:1:1: A: expected = after the name"),
        ('A="x', '.env:1:1: A: the " is not closed'),
        ("A@=1", '.env:1:1: "A@=1" does not start with a variable\'s name'),
    ],
)
def test_what_is_no_variable_is_told(text: str, problem: str) -> None:
    with pytest.raises(StackInvalid) as caught:
        parsed(text)
    assert str(caught.value) == problem


def test_a_raw_file_is_taken_literally() -> None:
    assert parse_raw("A='$USER' # x\n#no\nB=\nC\n") == {"A": "'$USER' # x", "B": ""}
