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
_TICK_S = 0.2
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


class Follower:
    """One reading of a stack's log, which knows what it has shown of each container."""

    def __init__(
        self,
        session: Session,
        stack: str,
        printer: LogPrinter,
        *,
        tail: str = "all",
        since: str = "",
        until: str = "",
        services: Sequence[str] = (),
    ) -> None:
        self._session = session
        self._stack = stack
        self._printer = printer
        self._services = services
        self._query: dict[str, object] = {
            "tail": "" if tail == "all" else tail,
            "since": since,
            "until": until,
            "services": ",".join(services),
        }
        self._shown: dict[str, float] = {}

    def follow(self) -> None:
        """Print what is there and what comes, until the containers have all ended.

        An engine that is killed meanwhile takes nothing with it: the next one is started and the
        log goes on after the last line shown of each container.
        """
        while True:
            try:
                self._print(follow=True)
                self.rest()
                return
            except Unavailable as error:
                if error.code != "engine-gone":
                    raise
            time.sleep(_RETRY_S)

    def rest(self) -> None:
        """Print what is there and was not shown yet."""
        self._print(follow=False)

    def _print(self, *, follow: bool) -> None:
        before = dict(self._shown)
        query: dict[str, object] = {"follow": follow, **self._query}
        if before:
            # Lines of one container come in order, those of several only nearly so.
            query |= {"since": f"{max(before.values()) - _OVERLAP_S:.6f}", "tail": ""}
        path = f"/pystack/v1/stacks/{quote(self._stack)}/logs"
        tick_s = _TICK_S if follow else None
        quiet = 0
        for record in self._session.engine.lines("GET", path, query=query, tick_s=tick_s):
            if record is None:
                quiet += 1
                if _time_to_ask(quiet) and not self._anything_runs():
                    return
                continue
            quiet = 0
            container, when = name_of(record), float(record.get("time") or 0)
            if when > before.get(container, -1.0):
                # Noted first: Ctrl-C comes when a line was read, and must not show it again.
                self._shown[container] = when
                self._printer.show(record)

    def _anything_runs(self) -> bool:
        found = containers.of_stack(self._session, self._stack, self._services)
        return any(container.get("State") not in _ENDED for container in found)


def _time_to_ask(quiet: int) -> bool:
    """Whether, after so many ticks without a line, the end may have come: soon at first."""
    return quiet in (1, 2, 4) or quiet % 10 == 0
