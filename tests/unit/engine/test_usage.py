"""What `top` keeps of the machine's table of processes."""

from __future__ import annotations

import pytest

from orchestrator.engine.usage import table_of
from orchestrator.errors import Failed

TEXT = """\
UID          PID    PPID  C STIME TTY          TIME CMD
root           1       0  0 10:00 ?        00:00:01 /sbin/init splash
root          12       1  0 10:01 ?        00:00:00 sh -c a  b
me           120      12  0 10:01 ?        00:00:00
"""


def test_only_the_container_s_processes_are_kept_and_the_last_column_whole() -> None:
    table = table_of(TEXT, {12, 120})
    assert table.titles == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert table.rows == [
        ["root", "12", "1", "0", "10:01", "?", "00:00:00", "sh -c a  b"],
        ["me", "120", "12", "0", "10:01", "?", "00:00:00", ""],
    ]


@pytest.mark.parametrize("text", ["", "CMD\nsleep 1\n"])
def test_without_process_ids_there_is_no_telling(text: str) -> None:
    with pytest.raises(Failed, match="PID"):
        table_of(text, {1})
