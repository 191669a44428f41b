"""Whatever a file holds, it is a stack or it is refused with places: nothing else comes out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.compose.load import StackInvalid, load_stack
from orchestrator.compose.schema.commands import Command
from orchestrator.compose.schema.kinds import (
    Choice,
    FilePath,
    Flag,
    Kind,
    Parsed,
    Quantity,
    Text,
    Whole,
)
from orchestrator.compose.schema.resources import External
from orchestrator.compose.schema.shapes import ListOf, MapOf, Struct
from orchestrator.compose.schema.stack import STACK

WORDS = st.sampled_from(
    ["a", "b", "", "1", "0", "-1", "80", "80:80", "1-2", "a:b", "/a:/b", "./a", "10s", "1g", "a=b",
     "$A", "${A:-b}", "$", "no", "true", "host", "service:a", "10.0.0.0/8", "::1", "default"]
)  # fmt: skip
SCALARS = st.one_of(WORDS, st.integers(-2, 99999), st.booleans(), st.none(), st.floats(), st.text())
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=5,
)


def values(kind: Kind) -> st.SearchStrategy[Any]:
    """Values of about the right shape for a kind; now and then of a wrong one."""
    likely: st.SearchStrategy[Any]
    if isinstance(kind, Struct):
        likely = st.sets(st.sampled_from(sorted(kind.attributes)), max_size=4).flatmap(
            lambda names: mapping(kind, names)
        )
    elif isinstance(kind, ListOf):
        likely = st.lists(values(kind.item), max_size=2)
    elif isinstance(kind, MapOf):
        likely = st.dictionaries(st.sampled_from("ab"), values(kind.value), max_size=2)
    else:
        likely = scalars(kind)
    return st.integers(0, 40).flatmap(lambda dice: likely if dice else ANYTHING)


def mapping(kind: Struct, names: set[str]) -> st.SearchStrategy[dict[str, Any]]:
    """A mapping with these keys and those that must be there."""
    needed = {name for name, attribute in kind.attributes.items() if attribute.required}
    usual = {"stack": {"services"}, "service": {"image"}, "secret": {"file"}, "config": {"file"}}
    chosen = sorted(names | needed | usual.get(kind.name, set()))
    return st.fixed_dictionaries({name: values(kind.attributes[name].kind) for name in chosen})


def scalars(kind: Kind) -> st.SearchStrategy[Any]:
    """Single values that a kind mostly takes."""
    found: st.SearchStrategy[Any] = WORDS
    match kind:
        case Choice(words=words):
            found = st.sampled_from(words)
        case Flag() | External():
            found = st.booleans()
        case Whole(least=least, most=most):
            found = st.integers(least, least + 5 if most is None else most)
        case Quantity(form=form):
            found = st.just("10s") if "duration" in form else st.sampled_from([1, 0.5, "1"])
        case Parsed(form=form):
            found = st.sampled_from(["10.0.0.0", "::1"]) if "IP" in form else st.just("10.0.0.0/8")
        case Text(pattern=None) | FilePath() | Command():
            found = st.sampled_from(["a", "b", "a b", "/a", "./b", "a:b", "${A:-b}"])
        case Text(pattern=pattern):
            found = st.from_regex(pattern or "", fullmatch=True)
    return found


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(values(STACK), min_size=1, max_size=2))
def test_any_tree_is_a_stack_or_refused(
    tmp_path_factory: pytest.TempPathFactory, trees: list[Any]
) -> None:
    files = []
    for number, tree in enumerate(trees):
        file = Path(tmp_path_factory.getbasetemp()) / f"{number}.yml"
        file.write_text(json.dumps(tree), encoding="utf-8", errors="replace")
        files.append(str(file))
    try:
        load_stack(files, project_name="any", environ={})
    except StackInvalid as error:
        for line in str(error).splitlines()[:1]:
            assert re.match(r"\S+:\d+:\d+: ", line)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab:-[]{}&*!<>|'\" \n\t#?,%@`1"), max_size=60))
def test_any_text_is_a_stack_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = Path(tmp_path_factory.getbasetemp()) / "text.yml"
    file.write_text(text)
    try:
        load_stack([str(file)], project_name="any", environ={})
    except StackInvalid:
        return


@pytest.mark.parametrize("text", ["[" * 100_000, "a: " * 5000, "{a: " * 20_000, "- " * 50_000])
def test_nesting_without_end_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "stack.yml").write_text(text)
    with pytest.raises(StackInvalid):
        load_stack([str(tmp_path / "stack.yml")], environ={})
