"""How the engine grows, measured: many containers, ports, services, events, layers, and long logs.

Each is done once, since it takes minutes; BENCH_CONTAINERS (1,10,50,200,500) may ask for less.
What no peer keeps, or none could be brought to in reasonable time, is measured of pystack alone,
and has limits instead of a ratio.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import socket
import statistics
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench import stacks
from bench.contestants import Contestant
from bench.entry import ENGINES, Benchmark, Entry, Measure
from bench.rest import all_removed, processes, resident_bytes
from bench.stacks import IMAGE
from orchestrator.model.events import Event
from orchestrator.state.database import open_database

STEPS = tuple(int(n) for n in os.environ.get("BENCH_CONTAINERS", "1,10,50,200,500").split(","))
MOST = STEPS[-1]
PS = f"ps with {MOST} containers"
FIRST, LAST = 20001, 21000
FIRST_PORT, LAST_PORT = "run -d with the 1st of 1000 ports", "run -d with the 1000th port"
PS_PORTS, PORT = "ps with 1000 published ports", "port of a container with 998"
SERVICES = 200
BESIDE = f"run -d beside a stack of {SERVICES}"
LOG_BYTES = 1 << 30
TAIL, SINCE = "logs --tail 10 of 1 GiB", "logs --since, 1 line of 1 GiB"
FOLLOW = "logs -f of 1 GiB, until the first line"
EVENTS = 100_000
EVENTS_LAST, EVENTS_ONE = "events of the last minute", "events of one container"
EVENTS_ALL = "events, all of them"
IMAGES, LAYERS = 100, 100
LOAD_FIRST = f"load of the 1st image of {LAYERS} layers"
LOAD_LAST = f"load of the {IMAGES}th"
LIST, DISK, REMOVE = "images", "system df", f"rmi of an image of {LAYERS} layers"
_LAYERED = f" with {IMAGES * LAYERS} layers"


def run_title(count: int) -> str:
    return f"run -d, as container {count}"


def memory_title(count: int) -> str:
    return f"memory a container, of {count}"


def lag_title(count: int) -> str:
    return f"longest wait for an answer, up to {count} containers"


def containers(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    """Containers of `sleep`, one after the other: how long the last ones took, what memory each
    takes of the engine and its helpers, and how long a ping of the engine waited meanwhile, which
    comes every 10 ms; then a list of all."""
    command = contestant.command()
    found: dict[str, float] = {}
    with all_removed(contestant):
        contestant.output(*command, "run", "--rm", IMAGE, "true")
        before, there = resident_bytes(processes(contestant)), 0
        for count in STEPS:
            with pinged(contestant) as waits:
                run = [*command, "run", "-d", IMAGE, "sleep", "100000"]
                times = [contestant.time(run) for _ in range(count - there)]
            there = count
            found[run_title(count)] = statistics.median(times[-5:])
            grown = resident_bytes(processes(contestant)) - before
            found[memory_title(count)] = grown / count
            if waits:
                found[lag_title(count)] = max(waits)
        found[PS] = contestant.time([*command, "ps"])
    return found


def ports(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    """The first port that is published on the machine, and the thousandth; and what lists them."""
    command = contestant.command()
    run, sleep = [*command, "run", "-d"], [IMAGE, "sleep", "100000"]
    many = [f"-p{port}:{port}" for port in range(FIRST + 1, LAST)]
    with all_removed(contestant):
        first = contestant.time([*run, f"-p{FIRST}:80", *sleep])
        contestant.output(*run, "--name", "bench-ports", *many, *sleep)
        last = contestant.time([*run, f"-p{LAST}:80", *sleep])
        return {
            FIRST_PORT: first,
            LAST_PORT: last,
            PS_PORTS: contestant.time([*command, "ps"]),
            PORT: contestant.time([*command, "port", "bench-ports"]),
        }


def services(contestant: Contestant, directory: Path) -> Mapping[str, float]:
    """A stack of 200 services: `up` with nothing to do, and a container that is none of it."""
    compose = contestant.compose(stacks.stack_file(directory / contestant.name, SERVICES, "large"))
    command = contestant.command()
    with stacks.running(contestant, directory, SERVICES, "large"):
        again = contestant.time([*compose, "up", "-d"])
        run = [*command, "run", "-d", "--name", "bench-beside", IMAGE, "sleep", "100000"]
        beside = contestant.time(run)
        contestant.output(*command, "rm", "-f", "bench-beside")
    return {stacks.again_title(SERVICES): again, BESIDE: beside}


def logs(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    """A container that has written 1 GiB in lines of 100 bytes, and one more since."""
    command, name = contestant.command(), "bench-log"
    line = "0123456789" * 9 + "012345678"
    script = f"yes {line} | head -c {LOG_BYTES}; echo written >&2; sleep 3; echo last; sleep 100000"
    run = [*command, "run", "-d", "--name", name, "--log-opt", "max-size=4g"]
    with all_removed(contestant):
        contestant.output(*run, IMAGE, "sh", "-c", script)
        deadline = time.monotonic() + 600
        while "last" not in contestant.output(*command, "logs", "--tail", "1", name):
            if time.monotonic() > deadline:
                raise RuntimeError("1 GiB of log takes more than ten minutes")
            time.sleep(1)
        # A moment between the last two lines.
        since = str(int(time.time()) - 2)
        return {
            TAIL: contestant.time([*command, "logs", "--tail", "10", name]),
            SINCE: contestant.time([*command, "logs", "--since", since, name]),
            FOLLOW: contestant.place.inside(_first_line, contestant, name),
        }


def events(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    """A history of 100,000 events, as long as it is kept; the peers keep none, or another kind."""
    contestant.stop()
    now = time.time()
    with open_database(contestant.directory / "data/state.db") as database:
        for number in range(EVENTS):
            name = f"demo-web-{number % 500}"
            known = {"name": name, "image": IMAGE, "com.docker.compose.project": "demo"}
            when = now - 100 - EVENTS + number
            database.events.append(
                Event(type="container", action="die", id=name, time=when, attributes=known)
            )
    contestant.start()
    ask = [*contestant.command(), "events", "--until", "0s"]
    return {
        EVENTS_LAST: contestant.time([*ask, "--since", "1m"]),
        EVENTS_ONE: contestant.time([*ask, "--since", "0", "--filter", "container=demo-web-7"]),
        EVENTS_ALL: contestant.time([*ask, "--since", "0"]),
    }


def layers(contestant: Contestant, directory: Path) -> Mapping[str, float]:
    """A hundred images of a hundred layers each, none of which two share."""
    command, archive = contestant.command(), directory / "layers.tar"
    loads, names = [], [f"localhost/bench/layers:{n}" for n in range(IMAGES)]
    try:
        for name in names:
            write_layers(archive, name)
            loads.append(contestant.time([*command, "load", "-q", "-i", str(archive)]))
        return {
            LOAD_FIRST: statistics.median(loads[:5]),
            LOAD_LAST: statistics.median(loads[-5:]),
            LIST + _LAYERED: contestant.time([*command, "images"]),
            DISK + _LAYERED: contestant.time([*command, "system", "df"]),
            REMOVE + _LAYERED: contestant.time([*command, "rmi", names[0]]),
        }
    finally:
        archive.unlink(missing_ok=True)
        contestant.succeeds(*command, "rmi", *names[1:])


_SYNCED = {
    "pystack": "nothing: its records are in SQLite's log, which is synced at checkpoints; of what"
    " is loaded, every blob and file",
    "docker": "the container's files and records, fsync each",
    "podman": "the container's files and records, fsync each",
}


def _once(name: str, entry: Entry, *measures: Measure, alone: bool = False) -> Benchmark:
    return Benchmark(
        name, "growth", entry, measures, _SYNCED, ("pystack",) if alone else ENGINES,
        most_runs=1, warm_up=False,
    )  # fmt: skip


GROWTH = (
    _once(
        "grow",
        containers,
        *(Measure(run_title(n)) for n in STEPS),
        *(Measure(memory_title(n), unit="B") for n in STEPS),
        *(Measure(lag_title(n)) for n in STEPS),
        Measure(PS, 1.2),
    ),
    _once("ports", ports, *map(Measure, (FIRST_PORT, LAST_PORT, PS_PORTS, PORT))),
    _once("services", services, Measure(stacks.again_title(SERVICES), 0.3), Measure(BESIDE)),
    _once("logs", logs, *(Measure(what, limit=0.5) for what in (TAIL, SINCE, FOLLOW))),
    _once("events", events, *map(Measure, (EVENTS_LAST, EVENTS_ONE, EVENTS_ALL)), alone=True),
    _once(
        "layers",
        layers,
        *(Measure(what) for what in (LOAD_FIRST, LOAD_LAST)),
        *(Measure(what + _LAYERED) for what in (LIST, DISK, REMOVE)),
        alone=True,
    ),
)


# -- the parts -----------------------------------------------------------------------------------


@contextlib.contextmanager
def pinged(contestant: Contestant) -> Iterator[list[float]]:
    """The seconds that each answer took to a ping, sent every 10 ms while the block lasts; none of
    an engine that has no daemon."""
    waits: list[float] = []
    address = contestant.env.get("DOCKER_HOST") or contestant.env.get("PYSTACK_SOCKET")
    if not address:
        yield waits
        return
    ended = threading.Event()

    def ask() -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(address.removeprefix("unix://"))
            while not ended.wait(0.01):
                begun = time.perf_counter()
                connection.sendall(b"GET /_ping HTTP/1.1\r\nHost: engine\r\n\r\n")
                connection.recv(4096)
                waits.append(time.perf_counter() - begun)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield waits
    finally:
        ended.set()
        asking.join()


def _first_line(contestant: Contestant, name: str) -> float:
    argv = [*contestant.command(), "logs", "-f", "--tail", "1", name]
    begun = time.perf_counter()
    process = subprocess.Popen(argv, env=contestant.env, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        return time.perf_counter() - begun
    finally:
        process.kill()
        process.wait()


def write_layers(path: Path, name: str) -> None:
    """An archive, as `docker save` writes them, of an image whose every layer is new."""
    with tarfile.open(path, "w") as out:

        def add(name: str, data: bytes) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            out.addfile(member, io.BytesIO(data))

        digests = []
        for number in range(LAYERS):
            data = _tar(f"{name} {number}".encode())
            digests.append(hashlib.sha256(data).hexdigest())
            add(f"{digests[-1]}.tar", data)
        diff_ids = [f"sha256:{digest}" for digest in digests]
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["true"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [{"created_by": f"step {number}"} for number in range(LAYERS)],
        }
        add("config.json", json.dumps(config).encode())
        files = [f"{digest}.tar" for digest in digests]
        entry = {"Config": "config.json", "RepoTags": [name], "Layers": files}
        add("manifest.json", json.dumps([entry]).encode())


def _tar(content: bytes) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        member = tarfile.TarInfo(f"file-{hashlib.sha256(content).hexdigest()}")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return data.getvalue()
