"""Whatever a file holds, it is a stack or it is refused with places: nothing else comes out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.compose.canonical import canonical
from orchestrator.compose.dotenv import parse_dotenv
from orchestrator.compose.load import StackInvalid, load_project, load_stack
from orchestrator.compose.output import as_json, as_yaml
from orchestrator.compose.phases import Phases
from orchestrator.compose.problems import Findings
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
from orchestrator.compose.template import TemplateError, substitute, uses

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


PIECES = st.sampled_from(
    ["$", "{", "}", "$$", "${A", "${A:-", "${B?", "${A:+", "$A", "-", ":", "?", "x", " ", '"', "'"]
)
TEMPLATES = st.lists(PIECES, max_size=8).map("".join)


@settings(max_examples=200, deadline=None)
@given(TEMPLATES, st.sampled_from([{}, {"A": ""}, {"A": "a", "B": "$A"}]))
def test_any_template_is_replaced_or_refused(text: str, environ: dict[str, str]) -> None:
    try:
        substitute(text, environ.get)
        names = [use.name for use in uses(text)]
    except TemplateError:
        return
    assert all(names)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(values(STACK), TEMPLATES, st.booleans(), st.booleans())
def test_any_tree_with_variables_is_written_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    tree: Any,
    template: str,
    interpolate: bool,
    normalize: bool,
) -> None:
    file = Path(tmp_path_factory.getbasetemp()) / "variables.yml"
    text = json.dumps(tree).replace('"a"', json.dumps(template))
    file.write_text(text, encoding="utf-8", errors="replace")
    phases = Phases(interpolate=interpolate, resolve_paths=normalize, check=interpolate)
    try:
        project = load_project([str(file)], project_name="any", environ={"A": "b"}, phases=phases)
        form = canonical(project, normalize=normalize)
    except StackInvalid:
        return
    assert as_yaml(form)
    assert as_json(form)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            PIECES, st.sampled_from("A=B#\n\t\\:."), st.sampled_from(["export ", "A=", "\n"])
        ),
        max_size=12,
    ).map("".join)
)
def test_any_file_of_variables_is_read_or_refused(text: str) -> None:
    findings = Findings()
    found = parse_dotenv(text, ".env", {"A": "a"}, findings)
    assert all(isinstance(name, str) and name for name in found)
    if findings.failed:
        with pytest.raises(StackInvalid, match=r"^\.env:\d+:\d+: "):
            findings.raise_any()


@pytest.mark.parametrize("text", ["[" * 100_000, "a: " * 5000, "{a: " * 20_000, "- " * 50_000])
def test_nesting_without_end_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "stack.yml").write_text(text)
    with pytest.raises(StackInvalid):
        load_stack([str(tmp_path / "stack.yml")], environ={})
