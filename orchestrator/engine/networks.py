"""Operations on networks, and the network life of containers.

The only writer of network records. Addresses are `leases`' business, interfaces and names
`wiring`'s, host ports `publishing`'s; this joins them, for every other noun to use. What the
kernel has to have is done by the drivers in `network`; everything asked of them may be repeated,
so a killed engine's successor calls `restore` and goes on.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import structlog
from anyio.abc import TaskGroup

from orchestrator.engine.leases import Leases
from orchestrator.engine.network_drafts import check_name, decided
from orchestrator.engine.network_watch import NetworkWatch
from orchestrator.engine.publishing import Publishing, standing_of
from orchestrator.engine.wiring import Wiring
from orchestrator.errors import Conflict, Denied, InvalidInput, NotFound
from orchestrator.model.container import Attachment, PortBinding
from orchestrator.model.events import Event
from orchestrator.model.ids import new_id, short_id
from orchestrator.model.observed import Container, Endpoint, Network, Subnet
from orchestrator.network.dns import Names
from orchestrator.network.driver import DEFAULT_BRIDGE, NetworkDriver
from orchestrator.network.firewall import Firewall
from orchestrator.network.forward import Relays
from orchestrator.network.forwarding import Forwarding
from orchestrator.network.ipam import Net4
from orchestrator.network.leasing import BUILT_IN, DEFAULT_NETWORK
from orchestrator.network.nftables import Nftables
from orchestrator.network.obstacles import remedy
from orchestrator.network.publish import Publisher
from orchestrator.network.upstream import Upstream
from orchestrator.settings import Settings
from orchestrator.state.database import Database


class Networks:
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
        tasks: TaskGroup,
    ) -> None:
        self._tasks = tasks
        self._records = database.networks
        self._containers = database.containers
        self._driver = driver
        self._firewall = firewall
        self._settings = settings
        self._emit = emit
        place = settings.data_dir / "containers"
        self.wiring = Wiring(
            database.networks.get, database.containers, driver, names, place, tasks
        )
        self.leases = Leases(self.get, database.containers, self.wiring.live)
        publisher = Publisher(driver, firewall, relays, self._name_of)
        self._publisher = publisher
        self.publishing = Publishing(publisher, self.wiring.naming, driver, database.containers)
        self._watch = NetworkWatch(
            database.networks, database.containers, driver, firewall, self.wiring
        )
        self._making = anyio.Lock()

    # -- networks --------------------------------------------------------------------------

    def list(self) -> list[Network]:
        """Every network, by name."""
        return sorted(self._records, key=lambda n: n.name)

    def find(self, reference: str) -> Network | None:
        """The network with this name, id, or unique beginning of an id."""
        exact = self._records.named(reference) or self._records.get(reference)
        if exact is not None or not reference:
            return exact
        found = self._records.starting(reference)
        return found[0] if len(found) == 1 else None

    def get(self, reference: str) -> Network:
        """As `find`. Raises: NotFound; InvalidInput: several ids begin so."""
        if (network := self.find(reference)) is not None:
            return network
        if reference and len(self._records.starting(reference)) > 1:
            raise InvalidInput(
                f"several networks have an id that begins with {reference}",
                code="ambiguous-id",
                about=reference,
                hint="give more digits, or the name",
            )
        raise NotFound(
            f"network {reference} not found",
            code="no-such-network",
            about=reference,
            hint="`pystack network ls` lists the networks",
        )

    async def create(
        self,
        name: str,
        *,
        driver: str = "bridge",
        subnet: str = "",
        gateway: str = "",
        ip_range: str = "",
        more_subnets: Sequence[Subnet] = (),
        internal: bool = False,
        attachable: bool = False,
        ipv6: bool = False,
        ipv6_subnet: str = "",
        ipv6_gateway: str = "",
        ipv6_range: str = "",
        aux_addresses: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Network:
        """A new network, its interface up.

        Raises: Conflict: the name or a subnet is taken, or no subnet is left; InvalidInput;
        Denied: the name is one of the engine's own; NotFound: no such parent interface.
        """
        check_name(name, driver or "bridge")
        async with self._making:
            if self._records.named(name) is not None:
                raise Conflict(
                    f"network with name {name} already exists",
                    code="network-exists",
                    about=name,
                    hint=f"use it, or remove it first (`pystack network rm {name}`)",
                )
            draft = Network(
                id=new_id(),
                name=name,
                driver=driver or "bridge",
                created_at=time.time(),
                subnet=subnet,
                gateway=gateway,
                ip_range=ip_range,
                more_subnets=tuple(more_subnets),
                ipv6_subnet=ipv6_subnet,
                ipv6_gateway=ipv6_gateway,
                ipv6_range=ipv6_range,
                aux_addresses=dict(aux_addresses or {}),
                internal=internal,
                attachable=attachable,
                options=dict(options or {}),
                labels=dict(labels or {}),
            )
            return await self._made(await self._decided(draft, ipv6=ipv6))

    async def ensure_default(self) -> Network:
        """The network of containers that name none: no names are served there. With it are `host`
        and `none`, which carry nothing."""
        async with self._making:
            for name, driver in BUILT_IN.items():
                if driver != "bridge" and self._records.named(name) is None:
                    self._records.put(
                        Network(id=new_id(), name=name, driver=driver, created_at=time.time())
                    )
            if (found := self._records.named(DEFAULT_NETWORK)) is not None:
                return found
            draft = Network(
                id=new_id(),
                name=DEFAULT_NETWORK,
                driver="bridge",
                created_at=time.time(),
                bridge=DEFAULT_BRIDGE,
            )
            # The settings' subnet, unless the host has other uses for those addresses.
            prefixes = [p for p, who in await self._driver.host_prefixes() if who != DEFAULT_BRIDGE]
            fixed = Net4(self._settings.default_subnet)
            free = not any(fixed.overlaps(p) for p in prefixes)
            draft = replace(draft, subnet=str(fixed) if free else "")
            return await self._made(await self._decided(draft, ipv6=False))

    async def remove(self, reference: str) -> None:
        """Nothing, once the network and its interface are gone.

        Raises: NotFound; Conflict: a container is on it; Denied: it is one of the engine's own.
        """
        network = self.get(reference)
        if network.name in BUILT_IN:
            raise Denied(
                f"{network.name} is a pre-defined network and cannot be removed",
                code="network-predefined",
                about=network.name,
                hint="it costs nothing while nobody uses it",
            )
        if users := sorted(c.name for c in self.users(network)):
            raise Conflict(
                f"network {network.name} is in use by {', '.join(users)}",
                code="network-in-use",
                about=network.name,
                hint="remove these containers, or `pystack network disconnect` them, first",
            )
        with self._watch.left_alone(network):
            await self._firewall.remove_network(network)
            await self._driver.remove(network)
            self._records.delete(network.id)
        self.tell(network, "destroy")

    async def prune(self, wanted: Callable[[Network], bool]) -> Sequence[str]:
        """The names of the networks that were removed: the wanted ones that no container is on."""
        removed: Sequence[str] = ()
        for network in self.list():
            if network.name not in BUILT_IN and wanted(network) and not self.users(network):
                await self.remove(network.id)
                removed = [*removed, network.name]
        return removed

    def users(self, network: Network) -> Sequence[Container]:
        """The containers that are on the network, running or not."""
        known = {c.id: c for c in (*self.wiring.live.values(), *self._containers)}
        return [c for c in known.values() if any(e.network_id == network.id for e in c.endpoints)]

    async def _decided(self, draft: Network, *, ipv6: bool) -> Network:
        return await decided(draft, self._records, self._driver, self._settings, ipv6=ipv6)

    async def _made(self, network: Network) -> Network:
        # The record first: what a killed engine leaves is then known to the next one.
        self._records.put(network)
        try:
            await self._driver.ensure(network)
            await self._firewall.add_network(network)
        except BaseException:
            with anyio.move_on_after(10, shield=True):
                await self._firewall.remove_network(network)
                await self._driver.remove(network)
            self._records.delete(network.id)
            raise
        self.tell(network, "create")
        return network

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

    # -- events ----------------------------------------------------------------------------

    def _name_of(self, container_id: str) -> str:
        found = self.wiring.live.get(container_id) or self._containers.get(container_id)
        return found.name if found else short_id(container_id)

    def tell(self, network: Network, action: str, **attributes: str) -> None:
        """Nothing; the event is out."""
        self._emit(
            Event(
                type="network",
                action=action,
                id=network.id,
                time=time.time(),
                attributes={"name": network.name, "type": network.driver, **attributes},
            )
        )

    def tell_endpoint(self, action: str, container: Container, endpoint: Endpoint) -> None:
        """Nothing; that the container came or went is told, unless the network is gone."""
        if (network := self._records.get(endpoint.network_id)) is not None:
            self.tell(network, action, container=container.id)


@asynccontextmanager
async def open_networks(
    database: Database, settings: Settings, emit: Callable[[Event], None]
) -> AsyncGenerator[Networks]:
    """The networks, with drivers that serve while the block lasts. What the kernel serves goes on
    after it."""
    nftables = Nftables()
    async with anyio.create_task_group() as tasks:
        networks = Networks(
            database,
            NetworkDriver(),
            Firewall(nftables, Forwarding(settings.run_dir / "forwarding")),
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
            tasks.cancel_scope.cancel()
