"""`stats`: what containers use, as it changes."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.cli import containers
from orchestrator.cli.columns import Column, Columns, Shown, format_argument, preferred
from orchestrator.cli.command import Command
from orchestrator.cli.session import Session
from orchestrator.cli.terminal import Terminal
from orchestrator.cli.together import together
from orchestrator.cli.units import binary_size, size
from orchestrator.client.engine import quote
from orchestrator.errors import NotFound

_EVERY_S = 1.0
# A first look needs two samples, not as far apart as the later ones.
_FIRST_S = 0.5
_UNKNOWN = "--"
_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
_TABLE = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")


@dataclass(frozen=True, slots=True)
class Use:
    """A container's line: its id and name, as it was asked for, and two samples of it.

    `now` is empty where it does not run.
    """

    asked: str
    id: str
    name: str
    now: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        return bool(_of(self.now, "cpu_stats").get("system_cpu_usage"))

    @property
    def cpu_percent(self) -> float:
        """The share of one processor's time, more than 100 of several."""
        now, before = _of(self.now, "cpu_stats"), _of(self.before, "cpu_stats")
        spent = _total(now) - _total(before)
        passed = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
        if spent <= 0 or passed <= 0 or not before.get("system_cpu_usage"):
            return 0.0
        return float(spent / passed * (now.get("online_cpus") or 1) * 100)

    @property
    def memory(self) -> tuple[int, int]:
        """Bytes in use, without what the kernel could give up at once, and bytes allowed."""
        stats = _of(self.now, "memory_stats")
        used, numbers = int(stats.get("usage") or 0), stats.get("stats") or {}
        cached = int(numbers.get("total_inactive_file", numbers.get("inactive_file", 0)))
        return used - cached if cached < used else used, int(stats.get("limit") or 0)

    @property
    def network(self) -> tuple[int, int]:
        every = (self.now.get("networks") or {}).values()
        return sum(n["rx_bytes"] for n in every), sum(n["tx_bytes"] for n in every)

    @property
    def block(self) -> tuple[int, int]:
        entries = _of(self.now, "blkio_stats").get("io_service_bytes_recursive") or ()
        moved = {"read": 0, "write": 0}
        for entry in entries:
            operation = str(entry["op"]).lower()
            if operation in moved:
                moved[operation] += entry["value"]
        return moved["read"], moved["write"]


def _of(sample: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return sample.get(name) or {}


def _total(cpu: Mapping[str, Any]) -> int:
    return int(_of(cpu, "cpu_usage").get("total_usage") or 0)


def columns(*, whole: bool = False) -> Columns:
    """What `stats` can show.  Source: docker/cli's `container/formatter_stats.go`."""

    def id_of(use: Use) -> str:
        return use.id if whole else use.id[:12]

    return Columns(
        Column("Container", "CONTAINER", lambda use: use.asked or id_of(use)),
        Column("ID", "CONTAINER ID", id_of),
        Column("Name", "NAME", lambda use: use.name or _UNKNOWN),
        Column("CPUPerc", "CPU %", lambda u: f"{u.cpu_percent:.2f}%" if u.known else _UNKNOWN),
        Column("MemUsage", "MEM USAGE / LIMIT", _memory),
        Column("MemPerc", "MEM %", _memory_percent),
        Column("NetIO", "NET I/O", lambda u: _both(u.network) if u.known else _UNKNOWN),
        Column("BlockIO", "BLOCK I/O", lambda u: _both(u.block) if u.known else _UNKNOWN),
        Column("PIDs", "PIDS", _pids),
        table=_TABLE,
    )


def _memory(use: Use) -> str:
    if not use.known:
        return f"{_UNKNOWN} / {_UNKNOWN}"
    used, limit = use.memory
    return f"{binary_size(used)} / {binary_size(limit)}"


def _memory_percent(use: Use) -> str:
    used, limit = use.memory
    return f"{used / limit * 100:.2f}%" if use.known and limit else _UNKNOWN


def _both(moved: tuple[int, int]) -> str:
    return f"{size(moved[0])} / {size(moved[1])}"


def _pids(use: Use) -> str:
    return str(_of(use.now, "pids_stats").get("current") or 0) if use.known else _UNKNOWN


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-a", "--all", action="store_true", help="those that do not run, too")
    add("--no-stream", action="store_true", help="one look, then end")
    add("--no-trunc", action="store_true", help="whole ids")
    format_argument(parser)
    add("containers", nargs="*", metavar="CONTAINER", help="names or ids (all that run)")


def _stats(session: Session, args: argparse.Namespace) -> int:
    form = preferred(session, args, "statsFormat")
    shown = Shown(columns(whole=args.no_trunc), form)
    watch = _Watch(session, args.containers, every=args.all)
    watch.look()
    time.sleep(_FIRST_S)
    terminal = Terminal(session.stdout)
    while True:
        lines = list(shown.lines(watch.look()))
        if terminal.live and not args.no_stream:
            text = "".join(f"{line}{_CLEAR_LINE}\n" for line in lines)
            session.stdout.write(_HOME + text + _CLEAR_BELOW)
        else:
            for line in lines:
                session.say(line)
        session.stdout.flush()
        if args.no_stream:
            return 0
        time.sleep(_EVERY_S)


class _Watch:
    """The samples of the containers asked for, or of all; those that come and go included."""

    def __init__(self, session: Session, names: Sequence[str], *, every: bool) -> None:
        self._engine = session.engine
        self._names = names
        self._every = every
        self._last: dict[str, Mapping[str, Any]] = {}

    def look(self) -> list[Use]:
        """What each uses, by this sample and the one before.

        Raises: NotFound: one that was named is not there.
        """
        before, self._last = self._last, {}
        uses = []
        asked_for = self._asked()
        for asked, use in zip(asked_for, together(self._sample, asked_for), strict=True):
            if isinstance(use, NotFound) and not self._names:
                continue  # it went away since it was listed
            if isinstance(use, Exception):
                raise use
            self._last[str(use["id"])] = use
            name = str(use.get("name") or "").removeprefix("/")
            uses.append(Use(asked[1], str(use["id"]), name, use, before.get(str(use["id"]), {})))
        return uses

    def _asked(self) -> list[tuple[str, str]]:
        if self._names:
            return [(name, name) for name in self._names]
        found = self._engine.get("/containers/json", all=self._every) or []
        return [(str(each["Id"]), containers.identifier(each)) for each in found]

    def _sample(self, asked: tuple[str, str]) -> Any:
        path = f"/containers/{quote(asked[0])}/stats"
        return self._engine.get(path, **{"stream": "0", "one-shot": "1"})


COMMANDS = {"stats": Command(_arguments, _stats, names="containers")}
