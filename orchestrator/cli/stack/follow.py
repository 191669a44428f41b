"""The output of a stack's containers, one coloured and aligned prefix per container."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from orchestrator.cli import containers
from orchestrator.cli.session import Session
from orchestrator.cli.terminal import PREFIX_COLOURS, Terminal
from orchestrator.client.engine import quote
from orchestrator.errors import Unavailable

_RETRY_S = 0.2
_IDLE_S = 1.0
_OVERLAP_S = 2.0
_ENDED = ("exited", "dead", "removing")


class LogPrinter:
    """Prints records of the engine's log stream: `web-1  | text`."""

    def __init__(
        self,
        terminal: Terminal,
        names: Iterable[str] = (),
        *,
        prefix: bool = True,
        timestamps: bool = False,
    ) -> None:
        self._terminal = terminal
        self._stream: TextIO = terminal.stream
        self._prefix = prefix
        self._timestamps = timestamps
        self._colours: dict[str, str] = {}
        self._width = 0
        for name in names:
            self._learn(name)

    def show(self, record: Mapping[str, Any]) -> None:
        """Print one record: `service`, `number`, `time` and `line` of it."""
        line = str(record.get("line", "")).removesuffix("\n")
        if self._timestamps:
            line = f"{timestamp(float(record.get('time') or 0))} {line}"
        if self._prefix:
            name = name_of(record)
            if name not in self._colours:
                self._learn(name)
            line = self._terminal.paint(f"{name:<{self._width}}  | ", self._colours[name]) + line
        self._stream.write(line + "\n")
        # A line is worth seeing when it happens, through a pipe as well.
        self._stream.flush()

    def _learn(self, name: str) -> None:
        self._colours[name] = PREFIX_COLOURS[len(self._colours) % len(PREFIX_COLOURS)]
        self._width = max(self._width, len(name))


def name_of(record: Mapping[str, Any]) -> str:
    """What a container's lines are headed with: its service and number, else its name."""
    if service := record.get("service"):
        number = record.get("number")
        return f"{service}-{number}" if number else str(service)
    return str(record.get("container") or "")


def timestamp(seconds: float) -> str:
    """Unix seconds as RFC 3339 with nanosecond digits, in UTC, as Docker's logs have it."""
    whole = int(seconds)
    nanoseconds = round((seconds - whole) * 1e9)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{nanoseconds:09d}Z"


def follow(
    session: Session,
    stack: str,
    printer: LogPrinter,
    *,
    keep: bool,
    tail: str = "all",
    since: str = "",
    until: str = "",
    services: Sequence[str] = (),
) -> None:
    """Print the stack's log; with `keep` until its containers have all ended.

    An engine that is killed meanwhile takes nothing with it: the next one is started and the log
    goes on after the last line shown of each container.
    """
    query: dict[str, object] = {
        "follow": keep,
        "tail": "" if tail == "all" else tail,
        "since": since,
        "until": until,
        "services": ",".join(services),
    }
    shown: dict[str, float] = {}
    while True:
        try:
            _print(session, stack, printer, query, shown, services)
            return
        except Unavailable as error:
            if not keep or error.code != "engine-gone":
                raise
        time.sleep(_RETRY_S)
        if shown:
            # Lines of one container come in order, those of several only nearly so.
            query |= {"since": f"{max(shown.values()) - _OVERLAP_S:.6f}", "tail": ""}


def _print(
    session: Session,
    stack: str,
    printer: LogPrinter,
    query: Mapping[str, object],
    shown: dict[str, float],
    services: Sequence[str],
) -> None:
    """Print what one request tells, but nothing twice; `shown` has each container's last time."""
    resumed = dict(shown)
    path = f"/pystack/v1/stacks/{quote(stack)}/logs"
    tick_s = _IDLE_S if query["follow"] else None
    for record in session.engine.lines("GET", path, query=query, tick_s=tick_s):
        if record is None:
            if not _anything_runs(session, stack, services):
                return
            continue
        container, when = name_of(record), float(record.get("time") or 0)
        if when <= resumed.get(container, -1.0):
            continue
        shown[container] = when
        printer.show(record)


def _anything_runs(session: Session, stack: str, services: Sequence[str]) -> bool:
    found = containers.of_stack(session, stack, services)
    return any(container.get("State") not in _ENDED for container in found)
