"""Networks under test: the real ones, with namespaces in place of containers."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.engine.connections import Connections
from orchestrator.engine.container_records import ContainerRecords
from orchestrator.engine.events import Events
from orchestrator.engine.networks import Networks, open_networks
from orchestrator.engine.traffic import GROUP_LABEL
from orchestrator.model.container import Attachment, ContainerSpec, PortBinding
from orchestrator.model.events import Event
from orchestrator.model.ids import new_id
from orchestrator.model.observed import Container, State
from orchestrator.settings import Settings
from orchestrator.state.database import Database, open_database
from tests.support.netns import LIMIT_S, Netns, command, netns


@dataclass(slots=True)
class World:
    """The networks, and what they are made of."""

    database: Database
    settings: Settings
    networks: Networks
    connections: Connections
    stack: ExitStack
    events: list[Event] = field(default_factory=list)

    async def container(
        self, name: str, *networks: str | Attachment, spec: ContainerSpec | None = None
    ) -> tuple[Container, Netns]:
        """A running container with this name, as the engine would start it."""
        machine = self.stack.enter_context(netns())
        draft = Container(
            id=new_id(), name=name, spec=spec or ContainerSpec(image="i"), image_id="i",
            created_at=0.0,
        )  # fmt: skip
        wished = [Attachment(network=n) if isinstance(n, str) else n for n in networks]
        endpoints = self.networks.lease(draft, wished)
        draft = replace(draft, endpoints=endpoints)
        draft = replace(draft, ports=self.networks.choose_ports(draft))
        self.database.containers.put(draft)
        await self.networks.write_hosts(self.files(draft), draft)
        try:
            await self.networks.connect(draft, machine.pid)
            await self.networks.publish(draft)
        except BaseException:
            await self.networks.withdraw(draft)
            raise
        state = State(status="running", pid=machine.pid)
        running = self.database.containers.put(replace(draft, state=state))
        self.networks.observe(running)
        # At once, not soon.
        await self.networks.publishing.steer(running)
        return running, machine

    def now(self, container: Container) -> Container:
        """The container as it is recorded now."""
        found = self.database.containers.get(container.id)
        assert found is not None
        return found

    async def stop(self, container: Container) -> None:
        """The container, withdrawn and recorded as exited."""
        await self.networks.withdraw(container)
        self.database.containers.put(replace(container, state=State(status="exited")))

    def files(self, container: Container) -> Path:
        return self.settings.data_dir / "containers" / container.id


def published(*bindings: PortBinding, group: str = "") -> ContainerSpec:
    labels = {GROUP_LABEL: group} if group else {}
    return ContainerSpec(image="i", ports=bindings, labels=labels)


def settings_in(place: Path) -> Settings:
    """The settings of an engine that keeps everything in `place`."""
    return Settings(data_dir=place, run_dir=place, socket=place / "socket", log_file=place / "log")


@asynccontextmanager
async def world(place: Path) -> AsyncGenerator[World]:
    """Networks with their state in `place`, restored from nothing; all of it is removed after."""
    settings = settings_in(place)
    events: list[Event] = []
    with ExitStack() as stack, open_database(place / "state.db") as database:
        stack.callback(clear)
        async with open_networks(database, settings, events.append) as networks:
            await networks.restore([])
            connections = Connections(ContainerRecords(database, Events(database.events)), networks)
            yield World(database, settings, networks, connections, stack, events)


def clear() -> None:
    """Nothing, once no bridge and no table of ours is left."""
    for _, name in socket.if_nameindex():
        if name.startswith("ps-"):
            command("ip", "link", "delete", name)
    command("nft", "delete", "table", "inet", "pystack")


def greeted(client: socket.socket, server: socket.socket) -> str:
    """The address that the server sees, once both have exchanged bytes; closes the connection."""
    server.settimeout(10)
    accepted, peer = server.accept()
    with client, accepted:
        accepted.settimeout(10)
        client.sendall(b"ping")
        assert accepted.recv(4) == b"ping"
        accepted.sendall(b"pong")
        assert client.recv(4) == b"pong"
    return str(peer[0])


def replies(machine: Netns, port: int, word: bytes) -> Callable[[], None]:
    """A server in the namespace that answers each connection with a word and ends it; call the
    result to end it."""
    server = machine.listen(port)
    server.settimeout(LIMIT_S)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                with client:
                    client.sendall(word)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()

    def end() -> None:
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(LIMIT_S)

    return end


def answer(address: str, port: int, machine: Netns | None = None) -> str:
    """What such a server says to this host, or to a machine; "" when it refuses."""
    try:
        if machine is None:
            client = socket.create_connection((address, port), 2)
        else:
            client = machine.connect(address, port, timeout_s=2)
        with client:
            client.settimeout(LIMIT_S)
            return client.recv(100).decode()
    except OSError:
        return ""


def refused(machine: Netns, address: str, port: int) -> bool:
    try:
        machine.connect(address, port, timeout_s=0.5).close()
    except OSError:
        return True
    return False
