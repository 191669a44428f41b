"""What must hold for an engine to carry as many containers as the machine does."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from orchestrator.runtime.cgroups import layout
from tests.support.engine import EngineUnderTest


def test_the_engine_may_open_as_many_files_as_the_machine_allows(engine: EngineUnderTest) -> None:
    limits = Path(f"/proc/{engine.pid}/limits").read_text()
    found = re.search(r"Max open files +(\S+) +(\S+)", limits)
    assert found
    assert found[1] == found[2]


@pytest.mark.skipif(layout() != "hybrid", reason="the runtime's stand-in is for hybrid cgroups")
def test_the_stand_in_for_the_unified_hierarchy_has_room_for_every_container(
    engine: EngineUnderTest,
) -> None:
    room = os.statvfs(f"/proc/{engine.pid}/root/sys/fs/cgroup/unified")
    assert room.f_blocks * room.f_frsize >= 10_000 * os.sysconf("SC_PAGE_SIZE")
