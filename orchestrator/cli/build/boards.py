"""A build's progress: steps as plain lines, redrawn in place, or as JSON for programs.

The plain and JSON forms are those of `docker buildx build --progress`.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from orchestrator.cli.progress import TICK_S, Board, silent
from orchestrator.cli.terminal import BLUE, DIM, RED, Terminal

_SHOWN_LINES = 4


def build_board(
    kind: str, terminal: Terminal, clock: Callable[[], float] = time.monotonic
) -> Board:
    """The board for `--progress`."""
    if kind in ("quiet", "none"):
        return silent()
    if kind == "rawjson":
        return JsonBoard(terminal.stream)
    if kind == "tty" or (kind in ("", "auto") and terminal.live):
        return LiveSteps(terminal, clock)
    return PlainSteps(terminal.stream, clock)


class PlainSteps:
    """Every step has a number; its lines say when they came."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._numbers: dict[str, int] = {}
        self._began: dict[str, float] = {}
        self._last = ""

    def update(self, progress: Mapping[str, Any]) -> None:
        subject, step = str(progress.get("subject") or ""), str(progress.get("step") or "")
        if subject not in self._numbers:
            self._numbers[subject] = len(self._numbers) + 1
            self._began[subject] = self._clock()
            self._say(subject, subject)
        took = self._clock() - self._began[subject]
        match step:
            case "running":
                pass
            case "output":
                self._say(subject, f"{took:.3f} {progress.get('detail') or ''}".rstrip())
            case "cached":
                self._say(subject, "CACHED", end=True)
            case "error":
                self._say(subject, "ERROR", end=True)
            case _ if progress.get("done"):
                detail = str(progress.get("detail") or "")
                if detail:
                    self._say(subject, detail)
                self._say(subject, f"DONE {took:.1f}s", end=True)
            case _ if not progress.get("total"):
                self._say(subject, f"{step} {progress.get('detail') or ''}".rstrip())

    def say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)

    def tick(self) -> None:
        """Nothing changes with time."""

    def close(self, *, failed: bool = False) -> None:
        self._stream.flush()

    def _say(self, subject: str, text: str, *, end: bool = False) -> None:
        if self._last and self._last != subject:
            self._stream.write("\n")
        self._last = "" if end else subject
        self._stream.write(f"#{self._numbers[subject]} {text}\n" + ("\n" if end else ""))
        self._stream.flush()


@dataclass(slots=True)
class _Step:
    began: float
    ended: float | None = None
    state: str = ""
    said: deque[str] = field(default_factory=lambda: deque(maxlen=_SHOWN_LINES))


class LiveSteps:
    """A block of steps, redrawn in place; what a running step says is below it."""

    def __init__(self, terminal: Terminal, clock: Callable[[], float]) -> None:
        self._terminal = terminal
        self._clock = clock
        self._steps: dict[str, _Step] = {}
        self._began = clock()
        self._drawn_at = 0.0
        self._drawn_rows = 0

    def update(self, progress: Mapping[str, Any]) -> None:
        subject, state = str(progress.get("subject") or ""), str(progress.get("step") or "")
        step = self._steps.setdefault(subject, _Step(self._clock()))
        if state == "output":
            step.said.append(str(progress.get("detail") or ""))
        else:
            step.state = state
            if progress.get("done") or state == "error":
                step.ended = self._clock()
        self.tick()

    def say(self, line: str) -> None:
        self.update({"subject": line, "step": "done", "done": True})

    def tick(self) -> None:
        if self._clock() - self._drawn_at >= TICK_S:
            self._draw(final=False)

    def close(self, *, failed: bool = False) -> None:
        if self._steps:
            self._draw(final=True)
        self._steps.clear()

    def lines(self, *, final: bool) -> list[str]:
        """The block as it stands; all steps when `final`, else as many as the screen has rows."""
        columns, rows = self._terminal.size()
        done = sum(step.ended is not None for step in self._steps.values())
        took = self._clock() - self._began
        head = f"[+] Building {took:.1f}s ({done}/{len(self._steps)})"
        if final and done == len(self._steps):
            head += " FINISHED"
        found = [self._terminal.paint(head, BLUE)]
        for subject, step in self._steps.items():
            found += self._shown(subject, step, columns, final=final)
        room = max(4, rows - 2)
        return found if final or len(found) <= room else [found[0], *found[1 - room :]]

    def _shown(self, subject: str, step: _Step, columns: int, *, final: bool) -> list[str]:
        seconds = (self._clock() if step.ended is None else step.ended) - step.began
        mark = {"cached": "CACHED ", "error": "ERROR "}.get(step.state, "")
        took = f"{seconds:.1f}s"
        room = columns - len(took) - 6
        text = f"{mark}{subject}"[:room]
        line = f" => {text:<{room}} {took}"
        colour = RED if step.state == "error" else BLUE if step.ended is not None else ""
        found = [self._terminal.paint(line, colour) if colour else line]
        if step.ended is None and not final:
            paint = self._terminal.paint
            found += [paint(f" => => # {said}"[: columns - 1], DIM) for said in step.said]
        return found

    def _draw(self, *, final: bool) -> None:
        self._drawn_at = self._clock()
        back = f"\x1b[{self._drawn_rows}A\r" if self._drawn_rows else ""
        lines = self.lines(final=final)
        self._drawn_rows = len(lines)
        # One write, so that a redraw is never seen half done.
        self._terminal.stream.write(back + "".join(f"\x1b[2K{line}\n" for line in lines) + "\x1b[J")
        self._terminal.stream.flush()


class JsonBoard:
    """One JSON object a line: vertexes (steps) and logs, as BuildKit's clients read them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._began: dict[str, str] = {}

    def update(self, progress: Mapping[str, Any]) -> None:
        import base64  # noqa: PLC0415 (for this form alone)
        import hashlib  # noqa: PLC0415

        subject, step = str(progress.get("subject") or ""), str(progress.get("step") or "")
        digest = f"sha256:{hashlib.sha256(subject.encode()).hexdigest()}"
        now = _now()
        if step == "output":
            data = base64.b64encode(f"{progress.get('detail') or ''}\n".encode()).decode()
            log = {"vertex": digest, "stream": 1, "data": data, "timestamp": now}
            self._say({"logs": [log]})
            return
        vertex: dict[str, Any] = {"digest": digest, "name": subject}
        vertex["started"] = self._began.setdefault(subject, now)
        if progress.get("done") or step == "error":
            vertex["completed"] = now
        if step == "cached":
            vertex["cached"] = True
        if step == "error":
            vertex["error"] = str(progress.get("detail") or "failed")
        self._say({"vertexes": [vertex]})

    def say(self, line: str) -> None:
        """Not told: it is about no step."""

    def tick(self) -> None:
        """Nothing changes with time."""

    def close(self, *, failed: bool = False) -> None:
        self._stream.flush()

    def _say(self, value: Mapping[str, Any]) -> None:
        print(json.dumps(value), file=self._stream, flush=True)


def _now() -> str:
    now = time.time()
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    return f"{whole}.{int(now % 1 * 1e9):09d}Z"
