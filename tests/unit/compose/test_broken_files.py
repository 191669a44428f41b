"""Every mistake in a stack file is told with its place, its key, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.compose.load import StackInvalid, load_stack
from tests.unit.compose.broken import BROKEN, Broken


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
def test_a_mistake_is_told_with_its_place(
    case: Broken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stack.yml").write_text(case.text)
    with pytest.raises(StackInvalid) as caught:
        load_stack(["stack.yml"], environ={"HOME": "/root"})
    assert str(caught.value).split("\n") == list(case.problems)
    assert caught.value.code == "stack-invalid"


def test_a_file_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StackInvalid, match=r"^no\.yml:1:1: there is no such file; check the path$"):
        load_stack(["no.yml"], environ={})


def test_problems_of_several_files_come_together_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "z.yml").write_text("services:\n  web:\n    image: 1\n    tty: 2\n")
    (tmp_path / "a.yml").write_text("services:\n  web:\n    init: 3\n")
    with pytest.raises(StackInvalid) as caught:
        load_stack(["z.yml", "a.yml"], environ={})
    assert [str(problem.mark) for problem in caught.value.problems] == [
        "z.yml:3:12",
        "z.yml:4:10",
        "a.yml:3:11",
    ]
