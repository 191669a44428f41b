"""Processes as ps shows them, without ps."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from orchestrator.runtime.processes import TITLES, list_processes


@pytest.mark.skipif(shutil.which("ps") is None, reason="it is compared with ps")
def test_the_table_is_the_one_of_ps() -> None:
    with subprocess.Popen(["sleep", "1000"]) as sleeping:
        pids = [os.getpid(), sleeping.pid]
        rows = list_processes([*pids, 2**22 + 1])
        said = subprocess.run(
            ["ps", "-ef", "-ww", f"-q{pids[0]},{pids[1]}"],
            capture_output=True, text=True, check=True,
        ).stdout.splitlines()  # fmt: skip
        sleeping.kill()
    assert said[0].split() == TITLES
    expected = sorted((line.split(None, 7) for line in said[1:]), key=lambda row: int(row[1]))
    # Without the share and the time of a processor, which go on.
    kept = (0, 1, 2, 4, 5, 7)
    assert [[row[k] for k in kept] for row in rows] == [
        [row[k].rstrip() for k in kept] for row in expected
    ]
