"""A session of measurements: who is there, and the runs, in turns."""

from __future__ import annotations

import contextlib
import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import hub
from bench.contestants import CONTESTANTS, Contestant
from bench.entry import FLOOR, Benchmark, Entry
from bench.machine import flushes
from bench.results import SUBJECT, Known, Measured, Results, Samples


@dataclass(slots=True)
class Session:
    """`files` is the directory that all entries share; beside it, each contestant has its own."""

    files: Path
    results: Results
    variants: int
    """How many images there are to be pulled, where any is."""
    present: list[Contestant] = field(default_factory=list)
    _served: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _hub: hub.Hub | None = None

    @contextlib.contextmanager
    def contestants(
        self, names: Sequence[str], root: Path | None, runtime: str, image: tuple[Path, str]
    ) -> Iterator[None]:
        """These are open and started while the block lasts, with the image; who cannot be is in
        `results.absent` with the reason, which for pystack itself is an error."""
        with contextlib.ExitStack() as opened:
            opened.push(self._served)
            for kind in CONTESTANTS:
                if kind.name not in names:
                    continue
                contestant = kind(self.files.parent / kind.name, root, runtime)
                contestant.open()
                opened.callback(contestant.close)
                if problem := contestant.available():
                    self._absent(contestant, problem)
                    continue
                opened.callback(contestant.stop)
                try:
                    contestant.start()
                    contestant.load(*image)
                except RuntimeError as error:
                    self._absent(contestant, str(error))
                    continue
                self.present.append(contestant)
                version = f"{contestant.version()}; {contestant.runtime_version()}"
                self.results.contestants.append(Known(contestant.name, version, contestant.records))
            yield

    def _absent(self, contestant: Contestant, problem: str) -> None:
        if contestant.name == SUBJECT:
            raise RuntimeError(problem)
        self.results.absent[contestant.name] = brief(problem)

    def measure(self, benchmark: Benchmark, runs: int) -> Measured:
        """Runs a benchmark, contestants taking turns, so that what the machine does meanwhile hits
        all alike; the first of a turn is another one each time."""
        if benchmark.needs_registry and self._hub is None:
            serving = hub.serving(self.files, self.variants, self.present)
            self._hub = self._served.enter_context(serving)
            self.results.image = self._hub.describe()
        measured = Measured(
            benchmark.name,
            benchmark.group,
            about(benchmark.entry),
            min(runs, benchmark.most_runs or runs),
            dict(benchmark.synced),
            [Samples(measure) for measure in benchmark.measures],
            load=[os.getloadavg()[0]],
            floor=about(benchmark.floor) if benchmark.floor else "",
        )
        with contextlib.ExitStack() as settings:
            turns = [
                _Turn(contestant, entry, self.files, measured)
                for contestant, entry in self._asked(benchmark)
            ]
            able = [turn for turn in turns if turn.prepared(benchmark, settings)]
            for number in range(measured.runs):
                first = number % max(1, len(able))
                for turn in [*able[first:], *able[:first]]:
                    if not turn.taken():
                        able.remove(turn)
                    print(".", end="", file=sys.stderr, flush=True)
            print(file=sys.stderr)
        measured.load.append(os.getloadavg()[0])
        self._sort(measured)
        return measured

    def _asked(self, benchmark: Benchmark) -> Iterator[tuple[Contestant, Entry]]:
        for contestant in self.present:
            if contestant.name in benchmark.contestants:
                yield contestant, benchmark.entry
            elif contestant.name == FLOOR and benchmark.floor:
                yield contestant, benchmark.floor

    def _sort(self, measured: Measured) -> None:
        order = [one.name for one in self.present]
        for samples in measured.samples:
            samples.by = {name: samples.by[name] for name in order if name in samples.by}


@dataclass(frozen=True, slots=True)
class _Turn:
    """A contestant's way of doing a benchmark. Who once cannot is left out of the whole of it, by
    its reason."""

    contestant: Contestant
    entry: Entry
    files: Path
    measured: Measured

    def prepared(self, benchmark: Benchmark, settings: contextlib.ExitStack) -> bool:
        def work() -> None:
            if benchmark.setting:
                settings.enter_context(benchmark.setting(self.contestant, self.files))
            if benchmark.warm_up:
                self.entry(self.contestant, self.files)

        return self._could(work)

    def taken(self) -> bool:
        return self._could(self._measure)

    def _measure(self) -> None:
        by = {one.measure.what: one.by for one in self.measured.samples}
        before = flushes(self.files)
        for what, number in self.entry(self.contestant, self.files).items():
            by[what].setdefault(self.contestant.name, []).append(number)
        since = flushes(self.files) - before
        self.measured.flushes.setdefault(self.contestant.name, []).append(since)

    def _could(self, work: Callable[[], object]) -> bool:
        name = self.contestant.name
        try:
            work()
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            self.measured.left_out[name] = brief(str(error))
            for samples in self.measured.samples:
                samples.by.pop(name, None)
            return False
        return True


def about(entry: Entry) -> str:
    """The first paragraph of what it says of itself."""
    text = inspect.getdoc(entry) or ""
    return " ".join(text.partition("\n\n")[0].split())


def brief(problem: str) -> str:
    """An error on one line that fits a table."""
    lines = [line.strip() for line in problem.splitlines() if line.strip()]
    text = lines[0] if len(lines) < 2 else f"{lines[0]} … {lines[-1]}"
    return text if len(text) <= 300 else f"{text[:140]} … {text[-150:]}"
