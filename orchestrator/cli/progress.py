"""Progress as it arrives from the engine: a block redrawn in place, or plain lines.

Drawing is by hand because it is twenty escape codes: a library for it takes longer to import than
most commands take to run.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from orchestrator.cli.meter import Meter
from orchestrator.cli.terminal import BLUE, DIM, GREEN, RED, Terminal
from orchestrator.client.faults import error_of

TICK_S = 0.1
_SAID_LINES = 20
_MOVING = frozenset({"downloading", "sending"})
# What only Docker's own clients are told.
_UNSEEN = frozenset({"found"})
_DONE = frozenset(
    {"Pull complete", "Already exists", "Download complete", "Pushed", "Layer already exists"}
)
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Board(Protocol):
    """Where progress is shown."""

    def update(self, progress: Mapping[str, Any]) -> None:
        """Show one step of one subject: the fields of model.events.Progress."""

    def say(self, line: str) -> None:
        """A line of its own beside the steps."""

    def tick(self) -> None:
        """Time has passed."""

    def close(self, *, failed: bool = False) -> None:
        """No more will come; what was shown stays."""


def board(terminal: Terminal, title: str, clock: Callable[[], float] = time.monotonic) -> Board:
    """The board that suits the terminal."""
    return LiveBoard(terminal, title, clock) if terminal.live else PlainBoard(terminal)


def silent() -> Board:
    """A board that shows nothing."""
    return _Silent()


def watch(
    stream: Iterable[Any], shown: Board, said: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """The result that ends a stream of progress, all of it shown on the way.

    Values are `{"progress"}`, `{"plan"}`, `{"result"}`, `{"error"}`, or Docker's `{"status"}`,
    which `said` is told where it is about no part of the work; None is a tick.
    Raises: the PystackError of an `error` line.
    """
    result: dict[str, Any] = {}
    failed = True
    try:
        for value in stream:
            if value is None:
                shown.tick()
            elif "progress" in value and "status" not in value:
                if value["progress"].get("step") not in _UNSEEN:
                    shown.update(value["progress"])
            elif "error" in value:
                raise error_of(value.get("fault") or value.get("errorDetail") or value["error"])
            elif "result" in value:
                result.update(value["result"] or {})
            elif "plan" in value:
                result["plan"] = value["plan"]
            elif "status" in value and "progressDetail" in value:
                shown.update(_from_docker(value))
            elif "status" in value:
                identifier = value.get("id")
                line = f"{identifier}: {value['status']}" if identifier else str(value["status"])
                (said or shown.say)(line)
        failed = False
    finally:
        shown.close(failed=failed)
    return result


def _from_docker(value: Mapping[str, Any]) -> dict[str, Any]:
    """A progress line of the Docker API as one of ours."""
    detail = value.get("progressDetail") or {}
    status = str(value["status"])
    return {
        "subject": str(value.get("id") or ""),
        "step": status,
        "current": detail.get("current", 0),
        "total": detail.get("total", 0),
        "done": status in _DONE or status.startswith("Mounted from "),
    }


class _Silent:
    def update(self, progress: Mapping[str, Any]) -> None:
        """Not shown."""

    def say(self, line: str) -> None:
        """Not shown."""

    def tick(self) -> None:
        """Nothing changes."""

    def close(self, *, failed: bool = False) -> None:
        """Nothing was shown."""


class PlainBoard:
    """One line per step, for logs and pipes. Byte counts are left out: they would flood."""

    def __init__(self, terminal: Terminal) -> None:
        self._stream = terminal.stream
        self._last: dict[str, tuple[str, str]] = {}
        self._counted: set[tuple[str, str]] = set()

    def update(self, progress: Mapping[str, Any]) -> None:
        subject, step = str(progress.get("subject") or ""), str(progress.get("step") or "")
        detail = str(progress.get("detail") or "")
        if progress.get("total"):
            # Layers of one image take turns with every step: each step is told once.
            if (subject, step) in self._counted:
                return
            self._counted.add((subject, step))
            detail = ""
        if self._last.get(subject) == (step, detail):
            return
        self._last[subject] = (step, detail)
        words = f"{subject}: {step}" if subject else step
        print(f"{words}: {detail}" if detail else words, file=self._stream, flush=True)

    def say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)

    def tick(self) -> None:
        """Nothing changes with time."""

    def close(self, *, failed: bool = False) -> None:
        self._stream.flush()


@dataclass(slots=True)
class _Row:
    step: str
    detail: str
    began: float
    ended: float | None = None
    meter: Meter = field(default_factory=Meter)
    # Whether the present step counts bytes.
    counting: bool = False
    # The last lines that the present step has said, for when it fails.
    said: deque[str] = field(default_factory=lambda: deque(maxlen=_SAID_LINES))


class LiveBoard:
    """One row per subject, redrawn in place at most every tick."""

    def __init__(self, terminal: Terminal, title: str, clock: Callable[[], float]) -> None:
        self._terminal = terminal
        self._title = title
        self._clock = clock
        self._began = clock()
        self._drawn_at = 0.0
        self._drawn_rows = 0
        self._rows: dict[str, _Row] = {}

    def update(self, progress: Mapping[str, Any]) -> None:
        now = self._clock()
        subject = str(progress.get("subject") or "")
        row = self._rows.get(subject)
        if row is None:
            row = self._rows[subject] = _Row("", "", now)
        step, total = str(progress.get("step") or ""), int(progress.get("total") or 0)
        detail = str(progress.get("detail") or "").rpartition("\n")[2]
        if not (row.counting and total and detail and step not in _MOVING):
            # Of the layers of one image those that move say what the image does.
            if step not in (row.step, "error"):
                row.said.clear()
                row.counting = False
            row.step = step
        row.detail = detail
        if total:
            row.meter.tell(row.detail, int(progress.get("current") or 0), total, now)
            row.detail = ""
            row.counting = True
        elif row.detail and step != "error":
            row.said.append(row.detail)
        row.ended = now if progress.get("done") or row.step == "error" else None
        self.tick()

    def say(self, line: str) -> None:
        # Above the block, which is drawn anew below it.
        self._draw(final=False, above=line)

    def tick(self) -> None:
        if self._clock() - self._drawn_at >= TICK_S:
            self._draw(final=False)

    def close(self, *, failed: bool = False) -> None:
        if self._rows:
            self._draw(final=True)
        for subject, row in self._rows.items():
            if len(row.said) > 1 and (row.step == "error" or (failed and row.ended is None)):
                # One row has room for one line of a failing step; what led to it matters now.
                self._terminal.stream.write(f"{subject}:\n")
                self._terminal.stream.writelines(f"  | {line}\n" for line in row.said)
        self._terminal.stream.flush()
        self._rows.clear()
        self._drawn_rows = 0

    def lines(self, *, final: bool) -> list[str]:
        """The block as it stands; all rows when `final`, else those that fit the screen."""
        columns, rows = self._terminal.size()
        done = sum(1 for row in self._rows.values() if row.ended is not None)
        head = f"[+] {self._title} {done}/{len(self._rows)}"
        shown = list(self._rows.items())
        room = max(1, rows - 3)
        if not final and len(shown) > room:
            # What is under way matters most; sorting is stable, so rows do not jump about.
            chosen = sorted(shown, key=lambda item: item[1].ended is not None)[:room]
            shown = [item for item in shown if item in chosen]
            head += f" (showing {room})"
        width = min(max((len(subject) for subject, _ in shown), default=0), columns // 2)
        return [
            self._terminal.paint(head, BLUE),
            *(self._line(subject, row, width, columns, final=final) for subject, row in shown),
        ]

    def _line(self, subject: str, row: _Row, width: int, columns: int, *, final: bool) -> str:
        mark, colour = self._mark(row, final=final)
        ended = self._clock() if row.ended is None else row.ended
        took = f"{ended - row.began:.1f}s"
        room = columns - len(took) - 4
        text = f"{subject[:width]:<{width}}  {row.step}"[:room]
        bar = row.counting and row.ended is None
        more = row.meter.text(room - len(text) - 2, self._clock()) if bar else row.detail
        extra = f" {more}"[: max(0, room - len(text))] if more else ""
        gap = " " * (room - len(text) - len(extra) + 1)
        paint = self._terminal.paint
        return f" {paint(mark, colour)} {text}{paint(extra, DIM)}{gap}{paint(took, DIM)}"

    def _mark(self, row: _Row, *, final: bool) -> tuple[str, str]:
        if row.step == "error":
            return "✘", RED
        if row.ended is not None:
            return "✔", GREEN
        if final:
            return "·", DIM
        return _SPINNER[int(self._clock() / TICK_S) % len(_SPINNER)], BLUE

    def _draw(self, *, final: bool, above: str = "") -> None:
        self._drawn_at = self._clock()
        back = f"\x1b[{self._drawn_rows}A\r" if self._drawn_rows else ""
        lines = self.lines(final=final) if self._rows else []
        self._drawn_rows = len(lines)
        if above:
            lines.insert(0, above)
        # One write, so that a redraw is never seen half done.
        self._terminal.stream.write(back + "".join(f"\x1b[2K{line}\n" for line in lines) + "\x1b[J")
        self._terminal.stream.flush()
