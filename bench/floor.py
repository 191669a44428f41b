"""The floor: what the kernel and the OCI runtime take, with nothing around them.

Bundles are prepared as the runtime's `spec` writes them (no seccomp filter, one shared root), and
the runtime is called directly. A network is a port of a bridge, a veth pair, an address and a
route, with pystack's own encoding of netlink. All of it runs in the floor's place.
"""

from __future__ import annotations

import ipaddress
import json
import os
import secrets
import select
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from bench.contestants import Contestant
from bench.entry import FLOOR, Benchmark, Measure
from orchestrator.network import namespace, rtnetlink
from orchestrator.network.netlink import Netlink

BRIDGE = "floor0"
AT_ONCE = 2
TRUE = ("/bin/true",)
SLEEP = ("/bin/sleep", "1000")
_GATEWAY = ipaddress.ip_address("10.253.0.1")
_MTU = 1500


class Bare:
    """One container without an engine; its methods run in the floor's place."""

    def __init__(
        self, contestant: Contestant, args: Sequence[str], number: int = 0, name: str = ""
    ) -> None:
        self.id = name or f"floor-{secrets.token_hex(4)}"
        self.number = number
        self._contestant = contestant
        self._path = contestant.directory / "bundles" / self.id
        self._pid_file = self._path / "pid"
        self.pid = 0
        self._path.mkdir(parents=True)
        (self._path / "config.json").write_text(json.dumps(self._config(args)))

    def _config(self, args: Sequence[str]) -> dict[str, object]:
        model = self._contestant.directory / "config.json"
        if not model.exists():
            call([self._contestant.runtime, "spec", "--bundle", str(model.parent)])
        config: dict[str, object] = json.loads(model.read_text())
        process, linux = config["process"], config["linux"]
        assert isinstance(process, dict)
        assert isinstance(linux, dict)
        process |= {"args": list(args), "terminal": False}
        linux["cgroupsPath"] = f"/{self._contestant.cgroup}/{self.id}"
        config["root"] = {"path": str(self._contestant.directory / "rootfs"), "readonly": True}
        return config

    def create(self) -> None:
        where = ["--bundle", str(self._path), "--pid-file", str(self._pid_file)]
        self._runtime("create", *where, self.id)
        self.pid = int(self._pid_file.read_text())

    def connect(self) -> None:
        """Plugs it into the bridge, and configures its network namespace."""
        namespace.inside(self.pid, self._plug)

    def _plug(self, inside: int) -> None:
        with Netlink() as link:
            bridge = socket.if_nametoindex(BRIDGE)
            name = self.id.replace("floor-", "fl")
            mac = f"02:42:0a:fd:{self.number // 250:02x}:{self.number % 250 + 2:02x}"
            link.do(
                rtnetlink.new_veth(
                    name, bridge, _MTU, peer="eth0", peer_mac=mac, namespace_fd=inside
                ),
                rtnetlink.no_link_local(name),
                rtnetlink.port_settings(name, isolated=False),
                rtnetlink.link_up(name),
            )
        namespace.enter(inside)
        with Netlink() as link:
            index = socket.if_nametoindex("eth0")
            link.do(
                rtnetlink.link_up("lo"),
                rtnetlink.add_address(index, self.address.packed, 16),
                rtnetlink.link_up("eth0"),
                rtnetlink.default_route(_GATEWAY.packed, index),
            )

    @property
    def address(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        return _GATEWAY + 1 + self.number

    def start(self) -> None:
        self._runtime("start", self.id)

    def wait(self) -> None:
        with suppress(ProcessLookupError):
            watched = os.pidfd_open(self.pid)
            try:
                select.select([watched], [], [], 30)
            finally:
                os.close(watched)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def remove(self) -> None:
        self.kill()
        self.delete()

    def delete(self) -> None:
        self._runtime("delete", self.id)

    def run(self) -> None:
        """All of it in one process of the runtime's."""
        self._runtime("run", "--bundle", str(self._path), self.id)

    def _runtime(self, *words: str) -> None:
        call([*self._contestant.command(), *words])


def call(argv: Sequence[str]) -> None:
    """Runs a program to its end. Raises: RuntimeError: it failed."""
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    pid = os.posix_spawnp(argv[0], list(argv), os.environ, file_actions=null)
    if code := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise RuntimeError(f"{' '.join(argv)}: {code}")


def bridge_up() -> None:
    """The bridge that the containers are ports of; made once."""
    with suppress(OSError):
        socket.if_nametoindex(BRIDGE)
        return
    with Netlink() as link:
        link.do(rtnetlink.new_bridge(BRIDGE, "02:42:0a:fd:00:01", _MTU), rtnetlink.link_up(BRIDGE))
        index = socket.if_nametoindex(BRIDGE)
        link.do(rtnetlink.add_address(index, _GATEWAY.packed, 16))


# -- as rows beside the engines ------------------------------------------------------------------


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def cycle(contestant: Contestant, *, network: bool) -> float:
    """The seconds of create, network, start, exit and delete of `true`."""

    def inside() -> float:
        bridge_up()
        one = Bare(contestant, TRUE)

        def work() -> None:
            one.create()
            if network:
                one.connect()
            one.start()
            one.wait()
            one.delete()

        return timed(work)

    return contestant.place.inside(inside)


def up_and_down(contestant: Contestant, count: int) -> tuple[float, float]:
    """The seconds of so many containers on a bridge, two at a time, and of their removal."""

    def inside() -> tuple[float, float]:
        bridge_up()
        made = [Bare(contestant, SLEEP, number) for number in range(count)]

        def up(one: Bare) -> None:
            one.create()
            one.connect()
            one.start()

        # Its threads are made by this one, and so are in the place too.
        with ThreadPoolExecutor(AT_ONCE) as workers:
            up_s = timed(lambda: list(workers.map(up, made)))
            down_s = timed(lambda: list(workers.map(Bare.remove, made)))
        return up_s, down_s

    return contestant.place.inside(inside)


def _in_one(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    one = Bare(contestant, TRUE)
    return {RUN: contestant.place.inside(timed, one.run)}


def _in_three(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    return {
        THREE: cycle(contestant, network=False),
        NETWORKED: cycle(contestant, network=True),
    }


def _netlink(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    def inside() -> float:
        bridge_up()
        one = Bare(contestant, SLEEP)
        one.create()
        try:
            return timed(one.connect)
        finally:
            one.remove()

    return {NETLINK: contestant.place.inside(inside)}


def _all(contestant: Contestant, directory: Path) -> Mapping[str, float]:
    """The runtime on prepared bundles, called directly, and the netlink calls alone."""
    found: dict[str, float] = {}
    for entry in (_in_one, _in_three, _netlink):
        found |= entry(contestant, directory)
    return found


RUN = "the runtime's `run` of true"
THREE = "create, start, delete of true"
NETWORKED = "the same with a network configured between"
NETLINK = "netlink alone: bridge port, veth, addresses, route"
FLOORS = (
    Benchmark(
        "floor",
        "floor",
        _all,
        tuple(Measure(what) for what in (RUN, THREE, NETWORKED, NETLINK)),
        synced={FLOOR: "nothing"},
        contestants=(FLOOR,),
    ),
)
