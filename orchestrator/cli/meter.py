"""How far something has got, and how fast: a bar with bytes, speed and the time that is left."""

from __future__ import annotations

from collections import deque

from orchestrator.cli.units import size

_WINDOW_S = 5.0
_SAMPLES = 64
_BAR_MOST = 30
_BAR_LEAST = 8


class Meter:
    """Bytes done and to do of one thing, which may have parts (the layers of an image)."""

    def __init__(self) -> None:
        self._parts: dict[str, tuple[int, int]] = {}
        self._samples: deque[tuple[float, int]] = deque(maxlen=_SAMPLES)

    def tell(self, part: str, current: int, total: int, now: float) -> None:
        """A part has got so far, at a time in seconds."""
        self._parts[part] = (current, total)
        self._samples.append((now, self._done()))

    def text(self, columns: int, now: float) -> str:
        """The meter in at most so many columns: first the bar goes, then speed and time."""
        total = sum(whole for _, whole in self._parts.values())
        if not total:
            return ""
        done = self._done()
        amount = f"{size(done)}/{size(total)}"
        rate = self.bytes_per_s(now)
        pace = f"{size(rate)}/s {_left(total - done, rate)}".rstrip() if rate else ""
        full = f"{amount}  {pace}" if pace else amount
        room = min(_BAR_MOST, columns - len(full) - 4)
        if room >= _BAR_LEAST:
            filled = min(room, done * room // total)
            arrow = "=" * filled + (">" if filled < room else "")
            return f"[{arrow[:room]:<{room}}]  {full}"
        return next((text for text in (full, amount) if len(text) <= columns), "")

    def bytes_per_s(self, now: float) -> float:
        """The speed of the last few seconds, 0 while it is not known."""
        while self._samples and now - self._samples[0][0] > _WINDOW_S and len(self._samples) > 2:
            self._samples.popleft()
        if len(self._samples) < 2:
            return 0.0
        (first_at, first), (_, last) = self._samples[0], self._samples[-1]
        # Until now, not until the last news: what has stopped gets slower.
        elapsed = now - first_at
        return max(0.0, (last - first) / elapsed) if elapsed > 0 else 0.0

    def _done(self) -> int:
        return sum(done for done, _ in self._parts.values())


def _left(missing: int, rate: float) -> str:
    """The time that is left, "" where nobody can say."""
    if rate <= 0 or missing <= 0:
        return ""
    seconds = round(missing / rate)
    if seconds >= 360_000:
        return ""
    if seconds >= 3600:
        return f"{seconds // 3600}h{seconds % 3600 // 60:02}m"
    return f"{seconds // 60}m{seconds % 60:02}s" if seconds >= 60 else f"{seconds}s"
