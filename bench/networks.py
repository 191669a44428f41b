"""What is measured of networks: the way into a container and between two, names, publishing.

The ends are `netpeer.py` in the network namespaces of real containers, so that what is compared
is each engine's network and not what its images hold. "direct" is the host talking to the
container's own address: the floor for what a published port can do.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bench.contestants import Contestant

IMAGE = "localhost/bench/busybox:1"
PEER = Path(__file__).with_name("netpeer.py")
SIZE = 2 << 30
CONNECTIONS = 2000
ANSWERS = 20000
PORT = 8090
FIRST, LAST = 20001, 20500

Entry = Callable[[Contestant, Path], Mapping[str, float]]


def into(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    """2 GiB, and 2000 connections one after the other, to a published port and directly."""
    host = host_address()
    found: dict[str, float] = {}
    with container(contestant, "-p", f"{PORT}:80") as server:
        address = ip_of(contestant, server)
        ways = {"directly": (address, 80), "by 127.0.0.1": ("127.0.0.1", PORT)}
        if host:
            ways["by the host's address"] = (host, PORT)
        with serving(contestant, server, "sink"):
            for how, (to, port) in ways.items():
                found[f"2 GiB to a container {how}"] = peer(None, "send", to, port, SIZE)
        with serving(contestant, server, "door"):
            for how, (to, port) in ways.items():
                what = f"{CONNECTIONS} connections to a container {how}"
                found[what] = peer(None, "knock", to, port, CONNECTIONS)
    return found


def between(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    """2 GiB from container to container, and DNS answers about one of them."""
    with (
        network(contestant, "bench-net"),
        container(contestant, "--name", "bench-server", "--network", "bench-net") as server,
        container(contestant, "--network", "bench-net") as client,
    ):
        inside = pid_of(contestant, client)
        with serving(contestant, server, "sink"):
            address = ip_of(contestant, server)
            sent = peer(inside, "send", address, 80, SIZE)
        resolver = name_server(contestant, client)
        asked = peer(inside, "ask", resolver, "bench-server", ANSWERS)
    return {"2 GiB from container to container": sent, f"{ANSWERS} DNS answers": asked}


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
        contestant.output(*contestant.command(), "rm", "-f", *ids)
    return {"run -d with the 1st published port": first, "run -d with the 500th": last}


NETWORKS: Mapping[str, Entry] = {"into": into, "between": between, "publish": publish}


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
def serving(contestant: Contestant, identifier: str, role: str) -> Iterator[None]:
    """A peer that listens at port 80 of the container, for the length of the block."""
    argv = entering(pid_of(contestant, identifier), role, 80)
    server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        if server.stdout.readline() != "ready\n":
            raise RuntimeError(f"{contestant.name}: the peer in the container does not start")
        yield
    finally:
        server.kill()
        server.wait()


def peer(pid: int | None, *words: object) -> float:
    """The seconds that a peer measured, in a container's network or in this one."""
    argv = entering(pid, *words)
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr[-500:]}")
    return float(done.stdout)


def entering(pid: int | None, *words: object) -> list[str]:
    inside = ["nsenter", "-t", str(pid), "-n"] if pid else []
    return [*inside, sys.executable, "-I", str(PEER), *map(str, words)]


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


def host_address() -> str:
    """An address of this host's that is no loopback, "" where it has none."""
    listed = subprocess.run(
        ["ip", "-4", "-o", "address", "show", "scope", "global"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    own = [line.split() for line in listed.splitlines()]
    ours = ("docker", "ps-", "pystack", "podman", "cni", "br-", "veth")
    return next((w[3].partition("/")[0] for w in own if not w[1].startswith(ours)), "")
