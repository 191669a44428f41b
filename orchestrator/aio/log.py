"""The engine's log: what happened in a few words, and the facts of it, as one JSON object a line.

Through `logging`, so that what libraries have to say goes to the same place. No library for it: it
would hold more of the engine's memory than everything the engine knows of a hundred containers.
"""

from __future__ import annotations

import datetime
import json
import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

_NAME = "pystack"
Facts = Mapping[str, object]


class Log:
    """Tells what happens; `bind` gives one that tells some facts each time."""

    __slots__ = ("_bound",)

    def __init__(self, bound: Facts | None = None) -> None:
        self._bound: Facts = bound or {}

    def bind(self, **facts: object) -> Log:
        """A log that tells these facts as well."""
        return Log({**self._bound, **facts})

    def info(self, event: str, **facts: object) -> None:
        """Nothing; it is told as something that happens."""
        self._tell(logging.INFO, event, facts)

    def warning(self, event: str, **facts: object) -> None:
        """Nothing; it is told as something that somebody should look at."""
        self._tell(logging.WARNING, event, facts)

    def error(self, event: str, exc_info: BaseException | None = None, **facts: object) -> None:
        """Nothing; it is told as something that went wrong, with the whole of the exception."""
        if exc_info is not None:
            facts["exception"] = "".join(traceback.format_exception(exc_info)).rstrip()
        self._tell(logging.ERROR, event, facts)

    def _tell(self, level: int, event: str, facts: Facts) -> None:
        logger = logging.getLogger(_NAME)
        if logger.isEnabledFor(level):
            logger.log(level, event, extra={"facts": {**self._bound, **facts}})


def get_logger() -> Log:
    """The log that everybody tells to."""
    return Log()


def log_to(path: Path) -> None:
    """Nothing; from now on the log is the file at path, and a person's form of it on the terminal
    that this process has."""
    handlers: list[logging.Handler] = [logging.FileHandler(path)]
    handlers[0].setFormatter(_Form(_as_json))
    if sys.stderr.isatty():
        handlers.append(logging.StreamHandler())
        handlers[1].setFormatter(_Form(_as_text))
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)


class _Form(logging.Formatter):
    """A record as a line, by the function given."""

    def __init__(self, line: Callable[[dict[str, object]], str]) -> None:
        super().__init__()
        self._line = line

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, object] = dict(getattr(record, "facts", {}))
        if record.exc_info:
            facts["exception"] = self.formatException(record.exc_info)
        when = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        facts["event"] = record.getMessage()
        facts["level"] = record.levelname.lower()
        facts["timestamp"] = when.isoformat().replace("+00:00", "Z")
        return self._line(facts)


def _as_json(facts: dict[str, object]) -> str:
    return json.dumps(facts, default=repr)


def _as_text(facts: dict[str, object]) -> str:
    event, timestamp = facts.pop("event"), facts.pop("timestamp")
    details = " ".join(f"{key}={value}" for key, value in facts.items())
    return f"{timestamp} {event} {details}"
