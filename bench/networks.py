"""What is measured of networks: the way into a container and between two, names, publishing.

The ends are `netpeer.py` in the network namespaces of real containers, so that what is compared
is each engine's network and not what its images hold. Each contestant is in a network namespace of
its own, where nobody else's rules are in the way.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench import floor
from bench.contestants import Contestant
from bench.entry import FLOOR, Benchmark, Measure
from bench.places import HOST_ADDRESS
from bench.stacks import IMAGE

PEER = Path(__file__).with_name("netpeer.py")
SIZE = 2 << 30
CONNECTIONS = 2000
ANSWERS = 20000
PORT = 8090
FIRST, LAST = 20001, 20500
DIRECT = "directly"
WAYS = {
    DIRECT: ("", 80),
    "by a port published at 127.0.0.1": ("127.0.0.1", PORT),
    "by a port published at the host's address": (HOST_ADDRESS, PORT),
}
BETWEEN = "from container to container"
DNS = "DNS answers about a container"
FIRST_PORT = "run -d with the 1st published port"
LAST_PORT = "run -d with the 500th published port"


def bytes_title(way: str) -> str:
    return f"bytes per second, {way}"


def connections_title(way: str) -> str:
    return f"connections per second, {way}"


def into(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    """2 GiB, and 2000 connections one after the other, from the host into a container."""
    with container(contestant, "-p", f"{PORT}:80") as server:
        inside, address = pid_of(contestant, server), ip_of(contestant, server)
        return _knocked(contestant, inside, address, WAYS)


def into_bare(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    """A veth pair and a bridge, nothing published."""
    with bare_container(contestant) as server:
        return _knocked(contestant, server.pid, str(server.address), {DIRECT: WAYS[DIRECT]})


def _knocked(
    contestant: Contestant, inside: int, address: str, ways: Mapping[str, tuple[str, int]]
) -> Mapping[str, float]:
    found: dict[str, float] = {}
    with serving(inside, "sink"):
        for how, (to, port) in ways.items():
            found[bytes_title(how)] = SIZE / peer(contestant, "send", to or address, port, SIZE)
    with serving(inside, "door"):
        for how, (to, port) in ways.items():
            taken = peer(contestant, "knock", to or address, port, CONNECTIONS)
            found[connections_title(how)] = CONNECTIONS / taken
    return found


def between(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    """2 GiB from container to container, and DNS answers about one of them to the other."""
    with (
        network(contestant, "bench-net"),
        container(contestant, "--name", "bench-server", "--network", "bench-net") as server,
        container(contestant, "--network", "bench-net") as client,
    ):
        inside = pid_of(contestant, client)
        with serving(pid_of(contestant, server), "sink"):
            sent = peer(inside, "send", ip_of(contestant, server), 80, SIZE)
        resolver = name_server(contestant, client)
        asked = peer(inside, "ask", resolver, "bench-server", ANSWERS)
    return {bytes_title(BETWEEN): SIZE / sent, DNS: ANSWERS / asked}


def between_bare(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    """Two veth pairs and a bridge."""
    with (
        bare_container(contestant) as server,
        bare_container(contestant, 1) as client,
        serving(server.pid, "sink"),
    ):
        sent = peer(client.pid, "send", str(server.address), 80, SIZE)
        return {bytes_title(BETWEEN): SIZE / sent}


def publish(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    """`run -d` with the first published port of the machine, and with the five hundredth."""
    run = [*contestant.command(), "run", "-d"]
    sleep = [IMAGE, "sleep", "1000"]
    between_them = [f"-p{port}:80" for port in range(FIRST + 1, LAST)]
    try:
        first = contestant.time([*run, f"-p{FIRST}:80", *sleep])
        contestant.output(*run, *between_them, *sleep)
        last = contestant.time([*run, f"-p{LAST}:80", *sleep])
    finally:
        ids = contestant.output(*contestant.command(), "ps", "-aq").split()
        if ids:
            contestant.output(*contestant.command(), "rm", "-f", *ids)
    return {FIRST_PORT: first, LAST_PORT: last}


def _rate(what: str, unit: str, target: float | None = None) -> Measure:
    return Measure(what, target, unit, "higher")


_NOTHING = dict.fromkeys(("pystack", "docker", "podman", FLOOR), "nothing to sync")
_RECORDS = {
    "pystack": "nothing: its records are in SQLite's log, which is synced at checkpoints",
    "docker": "the container's files and records, fsync each",
    "podman": "the container's records, by SQLite or bolt",
}
NETWORKS = (
    Benchmark(
        "into",
        "networks",
        into,
        tuple(
            measure
            for way in WAYS
            for target in [None if way == DIRECT else 1.0]
            for measure in (
                _rate(bytes_title(way), "B/s", target),
                _rate(connections_title(way), "/s", target),
            )
        ),
        synced=_NOTHING,
        floor=into_bare,
    ),
    Benchmark(
        "between",
        "networks",
        between,
        (_rate(bytes_title(BETWEEN), "B/s"), _rate(DNS, "/s", 1.0)),
        synced=_NOTHING,
        floor=between_bare,
    ),
    Benchmark(
        "publish",
        "publishing",
        publish,
        (Measure(FIRST_PORT), Measure(LAST_PORT)),
        synced=_RECORDS,
        most_runs=5,
    ),
)


# -- the parts -----------------------------------------------------------------------------------


@contextlib.contextmanager
def container(contestant: Contestant, *options: str) -> Iterator[str]:
    """The id of a container that does nothing, for the length of the block."""
    run = [*contestant.command(), "run", "-d", *options, IMAGE, "sleep", "1000"]
    identifier = contestant.output(*run).split()[-1]
    try:
        yield identifier
    finally:
        contestant.output(*contestant.command(), "rm", "-f", identifier)


@contextlib.contextmanager
def network(contestant: Contestant, name: str) -> Iterator[None]:
    contestant.output(*contestant.command(), "network", "create", name)
    try:
        yield
    finally:
        contestant.output(*contestant.command(), "network", "rm", name)


@contextlib.contextmanager
def bare_container(contestant: Contestant, number: int = 0) -> Iterator[floor.Bare]:
    """One without an engine, on the floor's bridge."""
    inside = contestant.place.inside
    inside(floor.bridge_up)
    one = inside(floor.Bare, contestant, floor.SLEEP, number)
    inside(one.create)
    try:
        inside(one.connect)
        inside(one.start)
        yield one
    finally:
        inside(one.remove)


@contextlib.contextmanager
def serving(pid: int, role: str) -> Iterator[None]:
    """A peer that listens at port 80 in the network of that process, for the length of the
    block."""
    argv = ["nsenter", "-t", str(pid), "-n", *_peer(role, 80)]
    server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        if server.stdout.readline() != "ready\n":
            raise RuntimeError("the peer in the container does not start")
        yield
    finally:
        server.kill()
        server.communicate()


def peer(where: Contestant | int, *words: object) -> float:
    """The seconds that a peer measured, in a contestant's own network or a container's."""
    if isinstance(where, int):
        return _told(["nsenter", "-t", str(where), "-n", *_peer(*words)])
    return where.place.beside(_told, _peer(*words))


def _peer(*words: object) -> list[str]:
    return [sys.executable, "-I", str(PEER), *map(str, words)]


def _told(argv: list[str]) -> float:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr[-500:]}")
    return float(done.stdout)


def pid_of(contestant: Contestant, identifier: str) -> int:
    return int(inspect(contestant, identifier, "{{.State.Pid}}"))


def ip_of(contestant: Contestant, identifier: str) -> str:
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
    return inspect(contestant, identifier, form).split()[0]


def inspect(contestant: Contestant, identifier: str, form: str) -> str:
    return contestant.output(*contestant.command(), "inspect", "-f", form, identifier).strip()


def name_server(contestant: Contestant, identifier: str) -> str:
    read = ["exec", identifier, "cat", "/etc/resolv.conf"]
    lines = contestant.output(*contestant.command(), *read).splitlines()
    return next(line.split()[1] for line in lines if line.startswith("nameserver"))
