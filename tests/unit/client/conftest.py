from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.client.fake_engine import FakeEngine


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeEngine]:
    """An engine that answers what the test says."""
    server = FakeEngine(tmp_path / "s")
    server.start()
    yield server
    server.stop()
