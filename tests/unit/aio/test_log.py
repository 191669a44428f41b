"""The engine's log, as a program reads it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.aio.log import get_logger, log_to


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Path]:
    """A file that the log goes to while the test lasts."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers.clear()
    log_to(tmp_path / "engine.log")
    yield tmp_path / "engine.log"
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def told(path: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        assert line.pop("timestamp").endswith("Z")
    return lines


def test_what_is_told_is_one_object_a_line_with_its_facts(written: Path) -> None:
    log = get_logger().bind(stack="demo")
    log.info("plan", lines=["create\nweb"])
    log.warning("a %s in the text is only text", path=Path("/srv"))
    assert told(written) == [
        {"stack": "demo", "lines": ["create\nweb"], "event": "plan", "level": "info"},
        {
            "stack": "demo",
            "path": repr(Path("/srv")),
            "event": "a %s in the text is only text",
            "level": "warning",
        },
    ]


def test_an_error_is_told_whole(written: Path) -> None:
    try:
        raise ZeroDivisionError("by nought")
    except ZeroDivisionError as error:
        get_logger().error("an error of our own", work="sums", exc_info=error)
    (line,) = told(written)
    said = line.pop("exception")
    assert said.startswith("Traceback")
    assert said.endswith("ZeroDivisionError: by nought")
    assert line == {"work": "sums", "event": "an error of our own", "level": "error"}


def test_what_libraries_say_is_told_in_the_same_way(written: Path) -> None:
    logging.getLogger("other").warning("%d left", 3)
    logging.getLogger("other").debug("not told")
    assert told(written) == [{"event": "3 left", "level": "warning"}]
