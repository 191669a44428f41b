"""What the runtimes' messages mean; these are their own words."""

from __future__ import annotations

import pytest

from orchestrator.runtime.messages import failure, runtime_message

CASES = [
    ("executable file `nope` not found in $PATH: No such file or directory", "command-not-found"),
    (
        'runc create failed: unable to start container process: exec: "nope": '
        "executable file not found in $PATH",
        "command-not-found",
    ),
    (
        'runc create failed: unable to start container process: exec: "/nope": '
        "stat /nope: no such file or directory",
        "command-not-found",
    ),
    ("open executable: Permission denied", "command-not-executable"),
    ("open executable: Operation not permitted", "command-not-executable"),
    (
        "the path `/etc/passwd` exists but it is not executable: Operation not permitted",
        "command-not-executable",
    ),
    ("the path `/etc` is not a regular file: Operation not permitted", "command-not-executable"),
    ("executable file `/no/such` not found: No such file or directory", "command-not-found"),
    (
        'runc create failed: unable to start container process: exec: "/etc": permission denied',
        "command-not-executable",
    ),
    ("mount `/x` to `/y`: No such file or directory", "create-failed"),
    ("error mounting: permission denied", "create-failed"),
    ("", "create-failed"),
]


@pytest.mark.parametrize(("text", "code"), CASES)
def test_the_commands_own_faults_are_told_apart(text: str, code: str) -> None:
    error = failure(text, "id", "create")
    assert (error.code, error.about) == (code, "id")
    assert error.hint
    assert error.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2026-11-24T09:21:19.365410Z: cannot do `x`\n", "cannot do `x`"),
        ('time="2026-11-24T09:21:19Z" level=error msg="exec: \\"x\\": bad"\n', 'exec: "x": bad'),
        ('{"level":"error","msg":"as json","time":"…"}', "as json"),
        ("ERRO[0000] with a level", "with a level"),
        ("first\nlast\n\n", "last"),
        ("", ""),
    ],
)
def test_a_message_is_freed_of_times_and_levels(text: str, message: str) -> None:
    assert runtime_message(text) == message
