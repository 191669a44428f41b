"""The stack file is found from where one stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.compose.find import find_override, find_stack_file
from orchestrator.errors import NotFound


def test_the_nearest_directory_decides_before_the_better_name(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "stack.yml").touch()
    assert find_stack_file(below) == tmp_path / "stack.yml"
    (tmp_path / "a" / "docker-compose.yaml").touch()
    assert find_stack_file(below) == tmp_path / "a" / "docker-compose.yaml"
    (tmp_path / "a" / "compose.yaml").touch()
    assert find_stack_file(below) == tmp_path / "a" / "compose.yaml"


def test_the_override_beside_a_file_is_found(tmp_path: Path) -> None:
    assert find_override(tmp_path / "compose.yaml") is None
    (tmp_path / "compose.override.yml").touch()
    assert find_override(tmp_path / "compose.yaml") == tmp_path / "compose.override.yml"


def test_where_there_is_none_the_names_are_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        find_stack_file(tmp_path)
    assert caught.value.code == "no-stack-file"
    assert "stack.yml" in caught.value.hint
