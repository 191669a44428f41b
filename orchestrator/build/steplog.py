"""What is told of a stage's steps while they run.

Every step is a subject of its own, named as `docker buildx` does: `[builder 2/4] RUN make`. Its
steps are running, output (one line of it), cached, done and error.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from orchestrator.model.events import Progress, Report

_LONGEST = 240


class Step:
    """One step under way."""

    def __init__(self, report: Report, subject: str) -> None:
        self.report = report
        self._subject = subject

    def say(self, line: str) -> None:
        """Nothing; the line of the step's output is told."""
        self.report(Progress(subject=self._subject, step="output", detail=line))


class StepLog:
    """Tells of one stage's steps, of which there are `total`; `fresh` ones are not looked up in
    the cache."""

    def __init__(self, report: Report, prefix: str, label: str, total: int, *, fresh: bool) -> None:
        self.fresh = fresh
        self._report = report
        self._words = [word for word in (prefix, label) if word]
        self._total = total
        self._number = 1
        self._open = ""

    @contextmanager
    def step(self, text: str) -> Generator[Step]:
        """The step while the block lasts; it has failed where the block raises. One in another is
        the same step."""
        if self._open:
            yield Step(self._report, self._open)
            return
        subject = self._open = self._subject(text)
        self._report(Progress(subject=subject, step="running"))
        try:
            yield Step(self._report, subject)
        except BaseException as error:
            text = str(error).partition("\n")[0]
            self._report(Progress(subject=subject, step="error", detail=text, done=True))
            raise
        finally:
            self._open = ""
        self._report(Progress(subject=subject, step="done", done=True))

    def cached(self, text: str) -> None:
        """Nothing; the step did not have to be done."""
        if not self._open:
            self._report(Progress(subject=self._subject(text), step="cached", done=True))

    def _subject(self, text: str) -> str:
        if not text.startswith("FROM"):
            self._number += 1
        words = " ".join([*self._words, f"{self._number}/{max(self._total, self._number)}"])
        return f"[{words}] {' '.join(text.split())[:_LONGEST]}"
