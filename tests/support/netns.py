"""Network namespaces that stand for containers and for machines outside."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from orchestrator.network.namespace import enter, inside

T = TypeVar("T")
LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Netns:
    """A process that does nothing, in a network namespace of its own."""

    pid: int

    def call(self, work: Callable[[], T]) -> T:
        """What `work` returns, called in the namespace; sockets made there stay there."""

        def there(namespace: int) -> T:
            enter(namespace)
            return work()

        return inside(self.pid, there)

    def listen(self, port: int, address: str = "0.0.0.0") -> socket.socket:
        """A TCP socket that listens in the namespace."""
        return self.call(lambda: socket.create_server((address, port)))

    def udp(self, port: int = 0, address: str = "0.0.0.0") -> socket.socket:
        """A bound UDP socket of the namespace."""
        bound = self.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        bound.bind((address, port))
        bound.settimeout(LIMIT_S)
        return bound

    def connect(self, address: str, port: int, timeout_s: float = LIMIT_S) -> socket.socket:
        """A TCP connection made from the namespace. Raises: OSError."""
        return self.call(lambda: socket.create_connection((address, port), timeout_s))

    def run(self, *argv: str) -> str:
        """The output of a command that runs in the namespace."""
        return command("nsenter", "-t", str(self.pid), "-n", *argv)


@contextlib.contextmanager
def netns() -> Iterator[Netns]:
    """A namespace for the length of the block."""
    mine = Path("/proc/self/ns/net").stat().st_ino
    process = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
    try:
        deadline = time.monotonic() + LIMIT_S
        while True:
            with contextlib.suppress(OSError):
                if (
                    os.stat(f"/proc/{process.pid}/ns/net").st_ino != mine  # noqa: PTH116
                    and Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n"
                ):
                    break
            assert time.monotonic() < deadline, "unshare does not come up"
            time.sleep(0.002)
        yield Netns(process.pid)
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def outside_machine(name: str = "lan0") -> Iterator[Netns]:
    """A machine next door: 198.51.100.2, connected to this host's 198.51.100.1."""
    with netns() as machine:
        command("ip", "link", "add", name, "type", "veth", "peer", "lan1", "netns",
                str(machine.pid))  # fmt: skip
        try:
            command("ip", "address", "add", "198.51.100.1/24", "dev", name)
            command("ip", "link", "set", name, "up")
            machine.run("ip", "address", "add", "198.51.100.2/24", "dev", "lan1")
            machine.run("ip", "link", "set", "lan1", "up")
            machine.run("ip", "route", "add", "default", "via", "198.51.100.1")
            yield machine
        finally:
            command("ip", "link", "delete", name)


def command(*argv: str) -> str:
    """The output of a command that succeeds."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout
