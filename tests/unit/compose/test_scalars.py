"""Plain scalars mean what YAML 1.2's core schema says, not YAML 1.1's."""

from __future__ import annotations

import math

import pytest

from orchestrator.compose.problems import Findings
from orchestrator.compose.scalars import resolve
from orchestrator.compose.source import MAX_NODES, read_text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("y", "y"),
        ("22:22", "22:22"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("1.2.3", "1.2.3"),
        ("-", "-"),
        ("+", "+"),
        (".", "."),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-7", -7),
        ("+7", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", -math.inf),
    ],
)
def test_a_plain_scalar(text: str, value: object) -> None:
    result = resolve(text)
    assert result == value
    assert type(result) is type(value)


def test_a_quoted_scalar_is_a_string_and_a_tag_decides() -> None:
    (tree,) = read_text(
        b"a: '3'\nb: \"true\"\nc: |\n  5\nd: !!str 7\ne: !!int '7'\n", "f", Findings()
    )
    assert tree.plain() == {"a": "3", "b": "true", "c": "5\n", "d": "7", "e": 7}


def test_merge_keys_give_way_to_what_is_written_and_to_earlier_sources() -> None:
    text = b"x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  <<: [*x, *y]\n  a: 0\n  '<<': kept\n"
    (tree,) = read_text(text, "f", Findings())
    assert tree.plain()["z"] == {"a": 0, "b": 1, "c": 2, "<<": "kept"}


def test_aliases_that_explode_are_refused_quickly() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    findings = Findings()
    read_text("\n".join(lines).encode(), "f", findings)
    with pytest.raises(Exception, match=f"aliases make more than {MAX_NODES} values"):
        findings.raise_any()
