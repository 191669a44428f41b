from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.cli.main import main
from tests.unit.client.fake_engine import FakeEngine


@dataclass(frozen=True, slots=True)
class Said:
    """What a command line answered."""

    code: int
    out: str
    err: str


Say = Callable[..., Said]


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeEngine]:
    """An engine that answers what the test says."""
    server = FakeEngine(tmp_path / "s")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the command, with no stack file in it or above."""
    directory = tmp_path / "demo"
    directory.mkdir()
    monkeypatch.chdir(directory)
    for name in ("PYSTACK_PROJECT_NAME", "COMPOSE_PROJECT_NAME", "PYSTACK_FILE", "COMPOSE_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYSTACK_SETTINGS", str(tmp_path / "none.toml"))
    monkeypatch.setenv("PYSTACK_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("PYSTACK_DATA_DIR", str(tmp_path / "data"))
    return directory


@pytest.fixture
def say(
    fake: FakeEngine,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Say:
    """Run one command line against the fake engine."""
    monkeypatch.setenv("PYSTACK_SOCKET", str(fake.path))

    def run(*words: str) -> Said:
        code = main(words)
        out, err = capfd.readouterr()
        return Said(code, out, err)

    return run
