"""`--chmod` in digits and in letters."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.build.modes import BadModeError, read_mode


@pytest.mark.parametrize(
    ("text", "before", "directory", "after"),
    [
        ("755", 0o100600, False, 0o755),
        ("04711", 0o100600, False, 0o4711),
        ("u+x", 0o100644, False, 0o744),
        ("+x", 0o100644, False, 0o755),
        ("a-w,u+w", 0o100666, False, 0o644),
        ("u=rwX,go=rX", 0o100600, False, 0o644),
        ("u=rwX,go=rX", 0o100700, False, 0o755),
        ("u=rwX,go=rX", 0o040700, True, 0o755),
        ("g=u,o=", 0o100751, False, 0o770),
        ("u+s,g+s,+t", 0o100755, False, 0o7755),
        ("go-rwx", 0o100777, False, 0o700),
        ("u+r-w", 0o100200, False, 0o400),
    ],
)
def test_a_mode_changes_a_files_own(text: str, before: int, directory: bool, after: int) -> None:
    assert read_mode(text).of(before, directory=directory) == after


@pytest.mark.parametrize("text", ["", "8", "999", "rwx", "u", "u+y", "u+x,", "0o755", "777777"])
def test_what_is_no_mode_is_refused(text: str) -> None:
    with pytest.raises(BadModeError, match="expected a mode like"):
        read_mode(text)


CLAUSE = st.tuples(
    st.sampled_from(["", "u", "g", "o", "a", "ug", "go"]),
    st.sampled_from("+-="),
    st.sampled_from(["", "r", "w", "x", "X", "rw", "rwx", "rX", "u", "g", "o"]),
).map("".join)


@settings(max_examples=40, deadline=None)
@given(st.lists(CLAUSE, min_size=1, max_size=3).map(",".join), st.integers(0, 0o777))
def test_chmod_agrees(tmp_path_factory: pytest.TempPathFactory, text: str, mode: int) -> None:
    path = Path(tmp_path_factory.getbasetemp(), "chmod-me")
    path.touch()
    path.chmod(mode)
    # Without a class chmod(1) heeds the umask, which a build does not have.
    subprocess.run(["chmod", "--", text, str(path)], check=True, umask=0)
    assert read_mode(text).of(mode, directory=False) == os.stat(path).st_mode & 0o7777  # noqa: PTH116


@given(st.text(alphabet="ugoa+-=rwxXst,0178", max_size=10))
def test_any_text_is_a_mode_or_refused(text: str) -> None:
    with suppress(BadModeError):
        assert 0 <= read_mode(text).of(0o100644, directory=False) <= 0o77777
