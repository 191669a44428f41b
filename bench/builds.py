"""Builds, measured: each entry prepares its context, and times one build of it.

The Dockerfiles are plain enough for every builder. What a peer has to be told to do the same work
(layers, no cache) is its contestant's matter.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

from bench.contestants import Contestant
from bench.entry import BUILDERS, Benchmark, Entry, Measure
from bench.stacks import IMAGE

TARGET = 0.7
FILES = 20_000
STAGES = 4
RUNS = 20

UNCHANGED, CHANGED = "no-op rebuild", "rebuild after one changed source file"
MANY_RUNS = f"{RUNS} x RUN true"
PARALLEL = f"{STAGES} parallel stages of 1 s"
COPIED, COPIED_AGAIN = f"COPY of {FILES:,} files", f"no-op rebuild with {FILES:,} files"
_turn = itertools.count()


def rebuilt(contestant: Contestant, directory: Path) -> Mapping[str, float]:
    """A small application: built again as it is, and after one source file changed."""
    context = _context(contestant, directory, "small", _APPLICATION)
    source = context / "src"
    if not source.exists():
        for number in range(20):
            file = source / f"package{number % 4}" / f"module{number}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"print({number})\n" * 50)
    build = contestant.build(context, "bench-small")
    contestant.output(*build)
    unchanged_s = contestant.time(build)
    (source / "package0/module0.py").write_text(f"print('turn {next(_turn)}')\n")
    changed_s = contestant.time(build)
    return {UNCHANGED: unchanged_s, CHANGED: changed_s}


def many_runs(contestant: Contestant, directory: Path) -> Mapping[str, float]:
    """Twenty steps that do nothing, none from the cache."""
    text = f"FROM {IMAGE}\n" + "RUN true\n" * RUNS
    context = _context(contestant, directory, "runs", text)
    build = contestant.build(context, "bench-runs", cache=False)
    return {MANY_RUNS: contestant.time(build)}


def stages(contestant: Contestant, directory: Path) -> Mapping[str, float]:
    """Four stages that wait a second each and do not need each other."""
    lines = [f"FROM {IMAGE} AS s{n}\nRUN sleep 1; echo {n} > /made{n}" for n in range(STAGES)]
    lines += [f"FROM {IMAGE}", *(f"COPY --from=s{n} /made{n} /" for n in range(STAGES))]
    context = _context(contestant, directory, "stages", "\n".join([*lines, ""]))
    build = contestant.build(context, "bench-stages", cache=False)
    return {PARALLEL: contestant.time(build)}


def many_files(contestant: Contestant, directory: Path) -> Mapping[str, float]:
    """A context of twenty thousand files, copied anew, and built again as it is."""
    context = _context(contestant, directory, "files", f"FROM {IMAGE}\nCOPY . /src\n")
    if not (context / "d0").exists():
        for number in range(FILES):
            file = context / f"d{number % 200}" / f"f{number}.txt"
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"file {number}\n" * 20)
    anew_s = contestant.time(contestant.build(context, "bench-files", cache=False))
    build = contestant.build(context, "bench-files")
    contestant.output(*build)
    again_s = contestant.time(build)
    return {COPIED: anew_s, COPIED_AGAIN: again_s}


_APPLICATION = f"""FROM {IMAGE}
WORKDIR /app
RUN mkdir -p /var/lib/app && echo installed > /var/lib/app/state
COPY src /app/src
RUN find /app -type f | wc -l > /var/lib/app/files
CMD ["cat", "/var/lib/app/files"]
"""


def _context(contestant: Contestant, directory: Path, name: str, dockerfile: str) -> Path:
    """A context of the contestant's own, so that none warms another's."""
    context = directory / contestant.name / name
    context.mkdir(parents=True, exist_ok=True)
    (context / "Dockerfile").write_text(dockerfile)
    return context


_SYNCED = {
    "pystack": "a step's layer before it is recorded (syncfs)",
    "docker": "the steps' records (fsync)",
    "buildkit": "the steps' records (bolt, fsync)",
    "buildah": "the steps' records (fsync)",
}


def _benchmark(name: str, entry: Entry, *whats: str, most_runs: int | None = None) -> Benchmark:
    measures = tuple(Measure(what, TARGET) for what in whats)
    return Benchmark(
        name, "builds", entry, measures,
        synced=_SYNCED, contestants=BUILDERS, most_runs=most_runs,
    )  # fmt: skip


BUILDS = (
    _benchmark("build-again", rebuilt, UNCHANGED, CHANGED),
    _benchmark("build-runs", many_runs, MANY_RUNS),
    _benchmark("build-stages", stages, PARALLEL),
    _benchmark("build-files", many_files, COPIED, COPIED_AGAIN, most_runs=3),
)
