"""The write-ahead log stays short, and no write waits for that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from orchestrator.model.events import Event
from orchestrator.model.observed import Volume
from orchestrator.state.database import open_database


def event(number: int) -> Event:
    return Event(type="container", action="die", id=f"c{number}", time=number)


def log_bytes(path: Path) -> int:
    return path.with_name(f"{path.name}-wal").stat().st_size


def test_what_is_written_asks_for_the_log_to_be_emptied_and_does_not_do_it(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    asked: list[Callable[[], None]] = []
    with open_database(path) as database:
        database.empty_log_by(asked.append)
        for number in range(2000):
            database.events.append(event(number))
        assert 3 <= len(asked) <= 20
        unemptied = path.stat().st_size
        assert log_bytes(path) > 4 << 20
        asked[-1]()
        assert path.stat().st_size > unemptied
        before = log_bytes(path)
        for number in range(500):
            database.events.append(event(number))
        assert log_bytes(path) == before, "the log is written from its beginning again"
    with open_database(path) as database:
        assert len(list(database.events.between(0, 1e9))) == 2500


def test_large_records_count_by_their_size(tmp_path: Path) -> None:
    asked: list[Callable[[], None]] = []
    with open_database(tmp_path / "state.db") as database:
        database.empty_log_by(asked.append)
        labels = {"note": "x" * (5 << 20)}
        volume = Volume(name="v", driver="local", created_at=1.0, mountpoint="/v", labels=labels)
        database.volumes.put(volume)
        assert len(asked) == 1
        asked[0]()
        assert database.volumes.named("v") == volume
