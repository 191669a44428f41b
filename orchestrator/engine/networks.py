"""Networks, and the network life of containers.

The networks themselves are `network_records`' business, addresses `leases`', interfaces and names
`wiring`'s, host ports `publishing`'s; this joins them, for every other noun to use. What the
kernel has to have is done by the drivers in `network`; everything asked of them may be repeated,
so a killed engine's successor calls `restore` and goes on.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import structlog

from orchestrator.aio.lasting import Background, Tasks
from orchestrator.engine.leases import Leases
from orchestrator.engine.network_records import NetworkRecords
from orchestrator.engine.network_watch import NetworkWatch
from orchestrator.engine.publishing import Publishing
from orchestrator.engine.traffic import standing_of
from orchestrator.engine.wiring import Wiring
from orchestrator.errors import Conflict, NotFound
from orchestrator.model.container import Attachment, PortBinding
from orchestrator.model.events import Event
from orchestrator.model.ids import short_id
from orchestrator.model.observed import Container, Endpoint
from orchestrator.network.dns import Names
from orchestrator.network.driver import NetworkDriver
from orchestrator.network.firewall import Firewall
from orchestrator.network.forward import Relays
from orchestrator.network.forwarding import Forwarding
from orchestrator.network.nftables import Nftables
from orchestrator.network.obstacles import remedy
from orchestrator.network.publish import Publisher
from orchestrator.network.upstream import Upstream
from orchestrator.settings import Settings
from orchestrator.state.database import Database


class Networks(NetworkRecords):
    """Every network of this engine. Use `open_networks`."""

    def __init__(
        self,
        database: Database,
        driver: NetworkDriver,
        firewall: Firewall,
        names: Names,
        relays: Relays,
        settings: Settings,
        emit: Callable[[Event], None],
        tasks: Tasks,
    ) -> None:
        self._tasks = tasks
        place = settings.data_dir / "containers"
        self.wiring = Wiring(
            database.networks.get, database.containers, driver, names, place, tasks
        )
        watch = NetworkWatch(database.networks, database.containers, driver, firewall, self.wiring)
        super().__init__(database, driver, firewall, settings, emit, self.wiring.live, watch)
        self.leases = Leases(self.get, database.containers, self.wiring.live)
        self._publisher = Publisher(driver, firewall, relays, self._name_of)
        self.publishing = Publishing(
            self._publisher, self.wiring.naming, driver, database.containers
        )

    # -- the life of a container -----------------------------------------------------------

    def lease(
        self, container: Container, attachments: Sequence[Attachment]
    ) -> tuple[Endpoint, ...]:
        """As `Leases.lease`."""
        return self.leases.lease(container, attachments)

    def release(self, container: Container) -> None:
        """As `Leases.release`."""
        self.leases.release(container)

    def choose_ports(self, container: Container) -> tuple[PortBinding, ...]:
        """As `Publishing.choose_ports`."""
        return self.publishing.choose_ports(container)

    async def write_hosts(self, directory: Path, container: Container) -> None:
        """As `Wiring.write_hosts`."""
        await self.wiring.write_hosts(directory, container)

    async def connect(self, container: Container, pid: int) -> None:
        """Nothing, once the process's namespace has the container's interfaces, and its name is
        known to its peers. For a container without endpoints, only the loopback is brought up.

        Raises: Failed: the kernel refused; NotFound: a network is gone.
        """
        mode = container.spec.network_mode
        if mode == "host" or mode.startswith("container:"):
            return
        await self.wiring.connect(container, pid)
        self.wiring.stand(container.id, standing_of(container))
        for endpoint in container.endpoints:
            self.tell_endpoint("connect", container, endpoint)

    async def publish(self, container: Container) -> None:
        """As `Publishing.publish`; of ports that were left open another one is chosen, and
        recorded, where somebody took the first meanwhile."""
        try:
            await self.publishing.publish(container)
        except Conflict as error:
            again = self.publishing.chosen_again(container)
            if error.code != "port-in-use" or again == container.ports:
                raise
            await self.publishing.publish(replace(container, ports=again))
            if (record := self._containers.get(container.id)) is not None:
                self._containers.put(replace(record, ports=again))

    def shares_ports(self, container: Container) -> bool:
        """Whether a published port of the running container leads to others as well."""
        return any(
            len(port.claims) > 1 and any(c.container_id == container.id for c in port.claims)
            for port in self.publishing.published()
        )

    async def withdraw(self, container: Container) -> None:
        """Nothing, once the container's ports and names are served no more; to be repeated
        freely. Its leases stay."""
        await self.publishing.unpublish(container.id)
        if (gone := self.wiring.withdraw(container.id)) is not None:
            for endpoint in gone.endpoints:
                self.tell_endpoint("disconnect", container, endpoint)

    def renamed(self, container: Container) -> None:
        """Nothing; a container that is known here is found by the names it has now."""
        self.wiring.renamed(container)

    def observe(self, container: Container) -> None:
        """Nothing; new connections and names that several share soon go by how the container is
        doing now. For every change of its record."""
        if container.id not in self.wiring.live:
            return
        standing = standing_of(container)
        if self.wiring.stand(container.id, standing) and container.ports:
            self._tasks.start_soon(self.publishing.steer, container)

    # -- a new engine, and its end ---------------------------------------------------------

    async def restore(self, containers: Iterable[Container]) -> None:
        """Nothing, once the kernel has everything that the records and these running containers
        need and nothing else of ours: bridges, the firewall's table, resolvers, hosts files."""
        await self.ensure_default()
        running = list(containers)
        for network in self._records:
            try:
                await self._driver.ensure(network)
            except NotFound as error:  # a parent that the host has no more must not stop the rest
                structlog.get_logger().warning("a network is without its parent", about=str(error))
        await self.wiring.adopt(running, list(self._records))
        claims = [self.publishing.claim(c) for c in running]
        await self._firewall.restore(self._records, self._publisher.table(claims))
        for problem in await self._publisher.adopt(claims):
            structlog.get_logger().warning("a port is served, not held", problem=str(problem))
        for container in running:
            self.wiring.stand(container.id, standing_of(container))
            await self.wiring.serve_again(container)
        self.wiring.refresh_hosts()

    async def leave(self) -> None:
        """Nothing, once the kernel has nothing of ours: for an engine that ends while no container
        runs. The records stay, and the next engine's `restore` makes it all again."""
        await self._driver.sweep(set(), set())
        for network in self._records:
            await self._driver.remove(network)
        await self._firewall.leave()

    def close(self) -> None:
        """Nothing; what only a running engine serves ends, what the kernel serves goes on."""
        self.publishing.close()
        self.wiring.close()

    async def obstacles(self) -> Sequence[str]:
        """What of other firewalls keeps containers from the outside, in words, with the remedy."""
        return [remedy(chain) for chain in await self._firewall.obstacles()]

    async def watch(self) -> None:
        """Never returns: what somebody else changes of our firewall table, bridges and plugs is
        put back."""
        await self._watch.run()

    def _name_of(self, container_id: str) -> str:
        found = self.wiring.live.get(container_id) or self._containers.get(container_id)
        return found.name if found else short_id(container_id)


@asynccontextmanager
async def open_networks(
    database: Database, settings: Settings, emit: Callable[[Event], None]
) -> AsyncGenerator[Networks]:
    """The networks, with drivers that serve while the block lasts. What the kernel serves goes on
    after it."""
    nftables = Nftables()
    async with anyio.create_task_group() as group:
        tasks = Background(group)
        networks = Networks(
            database,
            NetworkDriver(),
            Firewall(nftables, Forwarding(settings.run_dir / "router")),
            Names(nftables, Upstream(), tasks),
            Relays(tasks),
            settings,
            emit,
            tasks,
        )
        try:
            yield networks
        finally:
            networks.close()
            nftables.close()
            group.cancel_scope.cancel()
