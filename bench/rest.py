"""The engine at rest, measured: what it holds in memory, and what it does when nothing is asked.

Counted are all processes of a contestant that are no container's: the daemon, its helpers, what
watches a container, what relays a port. Podman has no daemon; what it has at rest is a conmon for
each container, as pystack has, so it is not compared here.
"""

from __future__ import annotations

import array
import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.contestants import Contestant
from bench.entry import Benchmark, Measure
from bench.stacks import IMAGE

COUNTS = (0, 20, 100)
MOST_CPU_PERCENT = 0.2
MEMORY_TARGET = 0.5
WATCHED_S = 60.0
SETTLING_S = 5.0
CPU = f"CPU at rest with {COUNTS[-1]} containers, of one core"
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PRESENT, _FRAME = 1 << 63, (1 << 55) - 1


def memory_title(count: int) -> str:
    return f"memory at rest with {count or 'no'} containers"


def shared_title(count: int) -> str:
    return f"proportional set size with {count or 'no'} containers"


def rest(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    """A daemon just started that has run one container, then 20, then 100 of `sleep` by `run -d`,
    five seconds after the last; then its CPU time in the minute after."""
    found: dict[str, float] = {}
    command = contestant.command()
    contestant.stop()
    contestant.start()
    contestant.output(*command, "run", "--rm", IMAGE, "true")
    with all_removed(contestant):
        there = 0
        for count in COUNTS:
            for _ in range(count - there):
                contestant.output(*command, "run", "-d", IMAGE, "sleep", "100000")
            there = count
            time.sleep(SETTLING_S)
            pids = processes(contestant)
            found[memory_title(count)] = float(resident_bytes(pids))
            found[shared_title(count)] = float(sum(map(proportional_bytes, pids)))
        before = cpu_s(contestant)
        time.sleep(WATCHED_S)
        found[CPU] = 100 * (cpu_s(contestant) - before) / WATCHED_S
    return found


REST = (
    Benchmark(
        "rest",
        "at rest",
        rest,
        (
            *(Measure(memory_title(n), MEMORY_TARGET, "B") for n in COUNTS),
            *(Measure(shared_title(n), None, "B") for n in COUNTS),
            Measure(CPU, None, "%", limit=MOST_CPU_PERCENT),
        ),
        synced=dict.fromkeys(("pystack", "docker"), "nothing: nobody asks for anything"),
        contestants=("pystack", "docker"),
        most_runs=3,
        warm_up=False,
    ),
)


# -- the parts -----------------------------------------------------------------------------------


@contextlib.contextmanager
def all_removed(contestant: Contestant) -> Iterator[None]:
    """Every container of the contestant is removed at the end of the block."""
    try:
        yield
    finally:
        if ids := contestant.output(*contestant.command(), "ps", "-aq").split():
            contestant.output(*contestant.command(), "rm", "-f", *ids)


def processes(contestant: Contestant) -> list[int]:
    """The contestant's own processes: those in its network, where no container of it is."""
    network = contestant.place.inside(_own_network)
    own = os.getpid()
    return [pid for pid in _pids() if pid != own and _network_of(pid) == network]


def resident_bytes(pids: list[int]) -> int:
    """The memory that these processes have together: each page once, however many map it.

    Their proportional set sizes would be less by what other programs on the machine happen to
    share, as this one shares the interpreter.  Source: proc_pid_pagemap(5).
    """
    frames: set[int] = set()
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            frames.update(_frames(pid))
    frames.discard(0)
    return len(frames) * _PAGE


def proportional_bytes(pid: int) -> int:
    """Its proportional set size; 0 of a process that is gone.  Source: proc_pid_smaps(5)."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) << 10


def cpu_s(contestant: Contestant) -> float:
    """The CPU time that its processes have taken so far, their ended children's included."""
    ticks = 0
    for pid in processes(contestant):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _network_of(pid: int) -> int:
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError:
        return 0


def _own_network() -> int:
    return Path("/proc/thread-self/ns/net").stat().st_ino


def _frames(pid: int) -> Iterator[int]:
    """The page frames that are in memory of the process's."""
    with Path(f"/proc/{pid}/pagemap").open("rb", buffering=0) as pagemap:
        for begin, end in _resident_ranges(pid):
            entries = array.array("Q")
            entries.frombytes(
                os.pread(pagemap.fileno(), (end - begin) // _PAGE * 8, begin // _PAGE * 8)
            )
            yield from (entry & _FRAME for entry in entries if entry & _PRESENT)


def _resident_ranges(pid: int) -> Iterator[tuple[int, int]]:
    """The mappings of which something is in memory."""
    begin = end = 0
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        word = line.split(" ", 1)[0]
        if "-" in word and ":" not in word:
            begin, end = (int(number, 16) for number in word.split("-"))
        elif word == "Rss:" and not line.endswith(" 0 kB"):
            yield begin, end
