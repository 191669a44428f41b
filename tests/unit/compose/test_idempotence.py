"""What `config` prints is a stack file that means the same as those it was made from."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from orchestrator.compose.canonical import canonical
from orchestrator.compose.load import Project, load_project, loaded
from orchestrator.compose.output import as_json, as_yaml
from orchestrator.compose.schema.stack import STACK
from orchestrator.errors import PystackError
from tests.support.corpus import CASES, CORPUS, options_of, project_of
from tests.unit.compose.test_any_file import values

# A mapping in the file, so in no order.
UNORDERED = ("services", "networks", "volumes", "granted", "depends_on", "ulimits", "extra_hosts")


def meaning(project: Project) -> Any:
    stack = asdict(loaded(project).stack)
    return unordered({k: v for k, v in stack.items() if k not in ("files", "inactive")})


def unordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: sorted(map(unordered, each), key=repr) if key in UNORDERED else unordered(each)
            for key, each in sorted(value.items())
        }
    return [unordered(each) for each in value] if isinstance(value, list | tuple) else value


def read_again(text: str, project: Project, place: Path) -> Project:
    file = place / "again.yml"
    file.write_text(text)
    return load_project(
        [str(file)],
        project_dir=str(project.directory),
        profiles=sorted(project.active),
        environ={k: v for k, v in project.environ.items() if k != "COMPOSE_PROJECT_NAME"},
    )


@pytest.mark.parametrize("case", CASES)
def test_a_projects_canonical_form_means_the_same(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CORPUS / case)
    project = project_of(options_of(case))
    stack = meaning(project)
    form = canonical(project)
    for text in (as_yaml(form), as_json(form)):
        again = read_again(text, project, tmp_path)
        assert meaning(again) == stack
        assert as_json(canonical(again)) == as_json(form)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(tree=values(STACK), as_text=st.sampled_from([as_yaml, as_json]))
def test_any_stacks_canonical_form_means_the_same(
    tmp_path_factory: pytest.TempPathFactory, tree: Any, as_text: Any
) -> None:
    place = Path(tmp_path_factory.getbasetemp())
    file = place / "generated.yml"
    file.write_text(json.dumps(tree), encoding="utf-8", errors="replace")
    try:
        project = load_project([str(file)], project_name="any", environ={})
        stack = meaning(project)
    except PystackError:
        assume(False)
        return
    form = canonical(project)
    again = read_again(as_text(form), project, place)
    assert meaning(again) == stack
    assert as_json(canonical(again)) == as_json(form)
