"""What a .dockerignore hides."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model.ignore import parse_ignore, translate


@pytest.mark.parametrize(
    ("rules", "hidden", "shown"),
    [
        ("# comment\n\n", [], ["a", "# comment"]),
        ("a", ["a", "a/b/c"], ["b", "x/a", "ab"]),
        ("/a\n./b", ["a", "b"], ["x/a"]),
        ("a/", ["a", "a/b"], ["ab"]),
        ("*", ["a", "a/b", ".x"], []),
        ("*/temp*", ["x/temporary/y"], ["temp", "a/b/temp"]),
        ("temp?", ["tempa"], ["temp", "temp/x", "tempab"]),
        ("**/*.go", ["a.go", "x/y/a.go"], ["a.g"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab"]),
        ("a/**/z", ["a/z", "a/b/c/z"], ["az", "a/bz"]),
        ("**", ["a", "a/b"], []),
        ("[a-c]x\n[^d]y", ["ax", "cx", "ey"], ["dx", "dy"]),
        ("\\*", ["*"], ["a"]),
        ("a.c+", ["a.c+"], ["abc+", "a.cc"]),
        ("*.md\n!README.md", ["x.md"], ["README.md"]),
        ("*.md\n!README*.md\nREADME-secret.md", ["README-secret.md"], ["README.md"]),
        ("a\n!a/b\na/b/c", ["a/x", "a/b/c"], ["a/b", "a/b/d"]),
        ("../x\nb", ["x", "b"], []),
        ("!", [], ["a"]),
    ],
)
def test_rules_hide_and_show(rules: str, hidden: list[str], shown: list[str]) -> None:
    parsed = parse_ignore(rules)
    assert [p for p in hidden if not parsed.excludes(p)] == []
    assert [p for p in shown if parsed.excludes(p)] == []


def test_only_directories_that_an_exception_can_reach_are_looked_into() -> None:
    rules = parse_ignore("*\n!src/app\n!docs/**/x")
    assert [d for d in ("src", "src/app", "docs/deep", "node_modules", "srcs")
            if rules.may_show_below(d)] == ["src", "src/app", "docs/deep"]  # fmt: skip


PATH = st.lists(st.text(alphabet="ab.", min_size=1, max_size=3), min_size=1, max_size=4).map(
    "/".join
).filter(lambda path: not {".", ".."} & set(path.split("/")))  # fmt: skip


@given(PATH)
def test_a_plain_path_is_hidden_with_all_below_it(path: str) -> None:
    rules = parse_ignore(path)
    assert rules.excludes(path)
    assert rules.excludes(f"{path}/below")
    assert not rules.excludes(f"x{path}")
    assert not parse_ignore(f"*\n!{path}").excludes(path)


@given(PATH, st.lists(st.sampled_from(["*", "**", "a", "b*", "**/b", "!a", "!**/a*", "a/**"])))
def test_what_shows_can_be_reached(path: str, lines: list[str]) -> None:
    rules = parse_ignore("\n".join(lines))
    parts = path.split("/")
    above = ["/".join(parts[:end]) for end in range(1, len(parts))]
    if not rules.excludes(path):
        assert all(not rules.excludes(d) or rules.may_show_below(d) for d in above)


@given(st.text(alphabet="a*?[]^\\/-!.&|~", max_size=12))
def test_any_pattern_is_a_regular_expression_or_refused(pattern: str) -> None:
    try:
        re.compile(translate(pattern))
    except re.error:
        assert "[" in pattern
