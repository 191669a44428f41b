"""Which contents of configs and secrets are kept, and how long."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.engine.grants import Grants
from orchestrator.errors import Failed
from orchestrator.model.stack import Stack, StackFile
from orchestrator.settings import Settings
from orchestrator.state.database import Database, open_database
from orchestrator.state.revisions import Revision


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory in memory, as /run is."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        yield Path(directory)


@pytest.fixture
def database(place: Path) -> Iterator[Database]:
    with open_database(place / "state.db") as opened:
        yield opened


@pytest.fixture
def grants(place: Path, database: Database) -> Grants:
    settings = Settings(
        data_dir=place / "data",
        run_dir=place / "run",
        socket=place / "socket",
        log_file=place / "log",
        cgroup_parent="none",
    )
    return Grants(settings, database)


def kept(grants: Grants, content: bytes) -> Stack:
    stack = Stack(name="demo", granted=(StackFile(source="secrets/one", name="one"),))
    return grants.versioned(stack, {"secrets/one": content}, keep=True)


def content_of(grants: Grants, stack: Stack) -> bytes:
    return grants.content(stack.granted[0].version)


def test_a_content_that_nobody_refers_to_is_collected(grants: Grants) -> None:
    stack = kept(grants, b"x")
    assert content_of(grants, stack) == b"x"
    grants.collect()
    with pytest.raises(Failed, match="gone"):
        content_of(grants, stack)


def test_a_content_is_kept_while_its_stack_is_on_its_way(grants: Grants) -> None:
    stack = kept(grants, b"x")
    with grants.held(stack):
        with grants.held(stack):
            grants.collect()
        grants.collect()
        assert content_of(grants, stack) == b"x"
    grants.collect()
    with pytest.raises(Failed):
        content_of(grants, stack)


def test_a_stack_can_go_back_to_an_earlier_revisions_contents(
    grants: Grants, database: Database
) -> None:
    stack = kept(grants, b"before")
    database.revisions.put(Revision(stack=stack, number=1, at=1.0, cause="up", changes=()))
    grants.collect()
    assert content_of(grants, stack) == b"before"
