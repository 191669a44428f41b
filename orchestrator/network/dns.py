"""The resolver at 127.0.0.11 inside containers, answered from the engine's event loop.

Its sockets are opened in the container's network namespace by a thread that goes there, and then
served here: one process answers for all. They are at ports the kernel chose; a rule in the
container's namespace turns port 53 into them, so that the container can serve DNS itself at every
address. The rule rewrites packets without connection tracking, which costs the container nothing.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import anyio

from orchestrator.aio.lasting import Tasks
from orchestrator.errors import Failed
from orchestrator.network import dnswire
from orchestrator.network.dnswire import Question
from orchestrator.network.hosts import RESOLVER
from orchestrator.network.namespace import enter, run_inside
from orchestrator.network.nftables import Nftables, NftablesError
from orchestrator.network.upstream import Upstream

# So short that a replaced container is noticed at once by those that keep answers for their TTL.
_TTL_S = 1
_BATCH = 64
_MOST_KEPT = 256
_TCP_IDLE_S = 30.0
_TCP_BACKLOG = 64
_TABLE = "ip pystack_dns"
_RULE = re.compile(r"(udp|tcp) dport 53 \1 dport set (\d+)")


@dataclass(frozen=True, slots=True)
class Found:
    """What a name means to one container: addresses in the order to give them in."""

    ipv4: tuple[str, ...] = ()
    ipv6: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """What one container may know.

    `lookup` says what a name means, None for one that is not ours; `reverse` the name of an
    address, or "". `servers` gives those to be asked about everything else; where it gives none,
    everything else fails. As long as `version` says the same, so does `lookup` of a name with
    addresses.
    """

    lookup: Callable[[str], Found | None]
    reverse: Callable[[str], str]
    servers: Callable[[], Sequence[str]]
    version: Callable[[], int]


@dataclass(slots=True)
class _Service:
    view: View
    udp: socket.socket
    tcp: socket.socket
    # Answers that need no turns taken, by the question without its identifier: what programs ask
    # again and again.
    kept: dict[bytes, bytes] = field(default_factory=dict)
    version: int = -1


class Names:
    """The resolvers of all running containers; `tasks` is where forwarded questions wait."""

    def __init__(self, nftables: Nftables, upstream: Upstream, tasks: Tasks) -> None:
        self._nftables = nftables
        self._upstream = upstream
        self._tasks = tasks
        self._services: dict[str, _Service] = {}

    async def serve(self, container_id: str, pid: int, view: View, *, again: bool = False) -> None:
        """Nothing, once the resolver of the container answers; `again` when an engine before this
        one has served it. Raises: Failed."""
        self.stop(container_id)
        udp, tcp = await run_inside(pid, partial(self._open, again=again))
        service = _Service(view, udp, tcp)
        self._services[container_id] = service
        loop = asyncio.get_running_loop()
        loop.add_reader(udp.fileno(), self._on_udp, service)
        loop.add_reader(tcp.fileno(), self._on_tcp, service)

    def change(self, container_id: str, view: View) -> bool:
        """Whether the container is served: from now on it knows what this view says."""
        if service := self._services.get(container_id):
            service.view = view
            service.kept.clear()
            return True
        return False

    def stop(self, container_id: str) -> None:
        """Nothing; a container that is not served is no error."""
        service = self._services.pop(container_id, None)
        if service is None:
            return
        loop = asyncio.get_running_loop()
        for one in (service.udp, service.tcp):
            loop.remove_reader(one.fileno())
            one.close()

    def stop_all(self) -> None:
        """Nothing, once no resolver is served."""
        for container_id in list(self._services):
            self.stop(container_id)

    def _open(self, namespace: int, again: bool) -> tuple[socket.socket, socket.socket]:
        """In a thread of its own: the sockets, bound inside, and the way from port 53 to them."""
        enter(namespace)
        try:
            # The ports of the last engine, where they are free: changing rules takes the kernel
            # many times as long as finding that they need no change.
            if again and (before := self._ports_before()):
                with suppress(OSError):
                    return _bound(*before)
            udp, tcp = _bound(0, 0)
            try:
                self._nftables.run_here(_redirect(udp.getsockname()[1], tcp.getsockname()[1]))
            except BaseException:
                udp.close()
                tcp.close()
                raise
        except (OSError, NftablesError) as error:
            raise Failed(
                f"the container's name server cannot be opened: {error}",
                code="names-failed",
                about=RESOLVER,
                hint="check that the kernel has nf_tables",
            ) from error
        return udp, tcp

    def _ports_before(self) -> tuple[int, int] | None:
        """The UDP and TCP port that the namespace's rules lead to."""
        try:
            listed = self._nftables.run_here(f"list table {_TABLE}")
        except NftablesError:
            return None
        ports = dict(_RULE.findall(listed))
        return (int(ports["udp"]), int(ports["tcp"])) if len(ports) == 2 else None

    # -- serving ---------------------------------------------------------------------------

    def _on_udp(self, service: _Service) -> None:
        # Bounded, so that one container that asks without end cannot hold up the loop.
        for _ in range(_BATCH):
            try:
                packet, asker = service.udp.recvfrom(4096)
            except OSError:  # nothing more, or an ICMP error about an earlier answer
                return
            answer = self._own_answer(service, packet, over_udp=True)
            if answer is None:
                self._tasks.start_soon(self._relay_udp, service, packet, asker)
            elif answer:
                _send(service.udp, answer, asker)

    async def _relay_udp(self, service: _Service, packet: bytes, asker: tuple[str, int]) -> None:
        answer = await self._upstream.ask(service.view.servers(), packet)
        room = dnswire.parse_question(packet).room
        if service.udp.fileno() >= 0:
            _send(service.udp, dnswire.truncated(answer, room), asker)

    def _on_tcp(self, service: _Service) -> None:
        try:
            connection, _ = service.tcp.accept()
        except OSError:
            return
        connection.setblocking(False)
        self._tasks.start_soon(self._converse, service, connection)

    async def _converse(self, service: _Service, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with connection, suppress(OSError, EOFError):
            while True:
                with anyio.fail_after(_TCP_IDLE_S):
                    size = int.from_bytes(await _exactly(loop, connection, 2), "big")
                    packet = await _exactly(loop, connection, size)
                answer = self._own_answer(service, packet, over_udp=False)
                if answer is None:
                    answer = await self._upstream.ask(service.view.servers(), packet)
                await loop.sock_sendall(connection, len(answer).to_bytes(2, "big") + answer)

    def _own_answer(self, service: _Service, packet: bytes, *, over_udp: bool) -> bytes | None:
        """The answer that needs nobody else; None where others are to be asked."""
        view = service.view
        if (version := view.version()) != service.version:
            service.version = version
            service.kept.clear()
        if known := service.kept.get(packet[2:]):
            return packet[:2] + known
        try:
            question = dnswire.parse_question(packet)
        except dnswire.MalformedError:
            return dnswire.refusal(packet, dnswire.FORMERR)
        room = question.room if over_udp else 65535
        answer, lasting = _answer(view, packet, question, room)
        if answer is not None:
            if lasting and len(service.kept) < _MOST_KEPT:
                service.kept[packet[2:]] = answer[2:]
            return answer
        servers = view.servers()
        if not servers:
            return dnswire.refusal(packet, dnswire.SERVFAIL)
        if kept := self._upstream.remembered(servers, packet):
            return dnswire.truncated(kept, room)
        return None


def _bound(udp_port: int, tcp_port: int) -> tuple[socket.socket, socket.socket]:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        udp.setblocking(False)
        tcp.setblocking(False)
        # Connections of the last engine may linger; nobody else has this address.
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        udp.bind((RESOLVER, udp_port))
        tcp.bind((RESOLVER, tcp_port))
        tcp.listen(_TCP_BACKLOG)
    except OSError:
        udp.close()
        tcp.close()
        raise
    return udp, tcp


def _answer(view: View, packet: bytes, question: Question, room: int) -> tuple[bytes | None, bool]:
    """The answer, None where it is not ours to give; and whether the next one is the same, for as
    long as the view's version is."""
    if not question.internet:
        return None, False
    if question.kind == dnswire.PTR:
        name = view.reverse(dnswire.reverse_address(question.name))
        if not name:
            return None, False
        return dnswire.reply(packet, question, [dnswire.name_data(name)], _TTL_S, room=room), False
    found = view.lookup(question.name)
    if found is None:
        return None, False
    match question.kind:
        case dnswire.A | dnswire.ANY:
            data = [socket.inet_aton(a) for a in found.ipv4]
        case dnswire.AAAA:
            data = [socket.inet_pton(socket.AF_INET6, a) for a in found.ipv6]
        case _:
            data = []
    kind = dnswire.A if question.kind == dnswire.ANY else question.kind
    alone = len(found.ipv4) == 1 and len(found.ipv6) <= 1
    return dnswire.reply(packet, question, data, _TTL_S, kind=kind, room=room), alone


def _send(udp: socket.socket, answer: bytes, asker: tuple[str, int]) -> None:
    with suppress(OSError):  # the asker is gone, or its queue is full: it asks again
        udp.sendto(answer, asker)


async def _exactly(loop: asyncio.AbstractEventLoop, connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await loop.sock_recv(connection, size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _redirect(udp_port: int, tcp_port: int) -> str:
    """Commands that lead port 53 of our address to these ports, and answers back."""
    rules: Sequence[str] = (
        f"ip daddr {RESOLVER} udp dport 53 udp dport set {udp_port}",
        f"ip daddr {RESOLVER} tcp dport 53 tcp dport set {tcp_port}",
        f"ip saddr {RESOLVER} udp sport {udp_port} udp sport set 53",
        f"ip saddr {RESOLVER} tcp sport {tcp_port} tcp sport set 53",
    )
    chain = f"{_TABLE} output"
    lines = [
        f"add table {_TABLE}",
        f"add chain {chain} {{ type filter hook output priority raw; policy accept; }}",
        f"flush chain {chain}",
        *(f"add rule {chain} {rule}" for rule in rules),
    ]
    return "\n".join(lines) + "\n"
