"""What the engine is sent of a stack is all of it."""

from __future__ import annotations

import dataclasses
import json

import pytest

from orchestrator.cli.stack.file import as_json
from orchestrator.compose.load import loaded
from tests.support.corpus import CASES, CORPUS, options_of, project_of


@pytest.mark.parametrize("case", CASES)
def test_every_field_of_a_stack_is_sent(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CORPUS / case)
    stack = loaded(project_of(options_of(case))).stack
    whole = json.dumps(dataclasses.asdict(stack), sort_keys=True)
    assert json.dumps(as_json(stack), sort_keys=True) == whole
