"""Operations on networks, and the network life of containers: leases, names, published ports.

The only writer of network records. What the kernel has to have is done by the drivers in
`network`; everything asked of them may be repeated, so a killed engine's successor calls `restore`
and goes on.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import structlog
from anyio import to_thread
from anyio.abc import TaskGroup

from orchestrator.errors import Conflict, InvalidInput, NotFound, PystackError
from orchestrator.model.container import Attachment, PortBinding
from orchestrator.model.events import Event
from orchestrator.model.ids import new_id, short_id
from orchestrator.model.observed import Container, Endpoint, Network
from orchestrator.network import hosts, ipam, leasing, ports
from orchestrator.network.directory import Directory
from orchestrator.network.dns import Names
from orchestrator.network.driver import (
    DEFAULT_BRIDGE,
    NetworkDriver,
    Plug,
    bridge_name,
    veth_name,
)
from orchestrator.network.firewall import Firewall
from orchestrator.network.forward import Relays
from orchestrator.network.ipam import Net4
from orchestrator.network.leasing import DEFAULT_NETWORK, HOST_BINDING, Taken
from orchestrator.network.naming import Naming, hostname
from orchestrator.network.nftables import Nftables
from orchestrator.network.publish import Publisher, kernel_part
from orchestrator.network.ruleset import Published
from orchestrator.network.upstream import Upstream
from orchestrator.settings import Settings
from orchestrator.state.database import Database

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_RESERVED = ("host", "none", "default")
_BRIDGE_OPTION = "com.docker.network.bridge.name"
_MTU_OPTION = "com.docker.network.driver.mtu"
_LEASE_UNRECORDED_S = 60.0
_REFRESH_AFTER_S = 0.01


@dataclass(slots=True)
class _Lease:
    """Endpoints given out to a container that has no record yet."""

    container_name: str
    endpoints: tuple[Endpoint, ...]
    until: float


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
        self._names = names
        self._publisher = Publisher(driver, firewall, relays, self._name_of)
        self._settings = settings
        self._emit = emit
        self._directory = Directory()
        self._naming = Naming(self._directory, database.networks.get, database.containers)
        self._live: dict[str, Container] = {}
        self._leases: dict[str, _Lease] = {}
        self._last: dict[str, str] = {}
        self._making = anyio.Lock()
        self._rewriting = anyio.Lock()
        self._refreshing = False

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
        """As `find`. Raises: NotFound."""
        if (network := self.find(reference)) is None:
            raise NotFound(
                f"no such network: {reference}",
                code="no-such-network",
                about=reference,
                hint="`pystack network ls` lists the networks",
            )
        return network

    async def create(
        self,
        name: str,
        *,
        driver: str = "bridge",
        subnet: str = "",
        gateway: str = "",
        ip_range: str = "",
        internal: bool = False,
        ipv6_subnet: str = "",
        ipv6_gateway: str = "",
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Network:
        """A new network, its bridge up.

        Raises: Conflict: the name or the subnet is taken, or no subnet is left; InvalidInput.
        """
        _check_name(name, driver)
        async with self._making:
            if self._records.named(name) is not None:
                raise Conflict(
                    f"there is a network {name} already",
                    code="network-exists",
                    about=name,
                    hint=f"use it, or remove it first (`pystack network rm {name}`)",
                )
            network_id = new_id()
            network = await self._planned(
                Network(
                    id=network_id,
                    name=name,
                    driver="bridge",
                    created_at=time.time(),
                    bridge=(options or {}).get(_BRIDGE_OPTION) or bridge_name(network_id),
                    subnet=subnet,
                    gateway=gateway,
                    ip_range=ip_range,
                    ipv6_subnet=ipv6_subnet,
                    ipv6_gateway=ipv6_gateway,
                    internal=internal,
                    mtu=int((options or {}).get(_MTU_OPTION, "0") or 0),
                    options=dict(options or {}),
                    labels=dict(labels or {}),
                )
            )
            return await self._made(network)

    async def ensure_default(self) -> Network:
        """The network of containers that name none: no names are served there."""
        async with self._making:
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
            return await self._made(
                await self._planned(replace(draft, subnet=str(fixed) if free else ""))
            )

    async def remove(self, reference: str) -> None:
        """Nothing, once the network and its bridge are gone.

        Raises: NotFound; Conflict: a container is on it, or it is the default network.
        """
        network = self.get(reference)
        users = [c.name for c in self._users(network)]
        if users or network.name == DEFAULT_NETWORK:
            raise Conflict(
                f"the network {network.name} is in use"
                + (f" by {', '.join(sorted(users))}" if users else " by the engine"),
                code="network-in-use",
                about=network.name,
                hint="remove the containers first" if users else "it cannot be removed",
            )
        await self._firewall.remove_network(network)
        await self._driver.remove_bridge(network.bridge)
        self._records.delete(network.id)
        self._tell(network, "destroy")

    async def _planned(self, network: Network) -> Network:
        """The network with its subnet and gateways decided. Raises: Conflict; InvalidInput."""
        own = [(Net4(n.subnet), f"network {n.name}") for n in self._records if n.subnet]
        ours = {n.bridge for n in self._records} | {network.bridge}
        host = [
            (prefix, f"the host's {who}" if who != "a route" else "a route of the host")
            for prefix, who in await self._driver.host_prefixes()
            if who not in ours
        ]
        if network.subnet:
            subnet = ipam.parse_subnet(network.subnet)
            if who := ipam.overlap(subnet, [*own, *host]):
                raise Conflict(
                    f"the subnet {subnet} of network {network.name} overlaps {who}",
                    code="subnet-in-use",
                    about=str(subnet),
                    hint="choose another subnet, or none to have a free one chosen",
                )
        else:
            subnet = ipam.choose_subnet(
                self._settings.address_pools, [p for p, _ in own], [p for p, _ in host]
            )
        ipam.check_range(subnet, network.ip_range)
        gateway = ipam.choose_gateway(subnet, network.gateway)
        ipam.check_fixed(subnet, "", gateway)
        gateway6 = ipam.choose_gateway6(network.ipv6_subnet, network.ipv6_gateway)
        return replace(network, subnet=str(subnet), gateway=gateway, ipv6_gateway=gateway6)

    async def _made(self, network: Network) -> Network:
        # The record first: what a killed engine leaves is then known to the next one.
        self._records.put(network)
        try:
            await self._driver.ensure_bridge(network)
            await self._firewall.add_network(network)
        except BaseException:
            with anyio.move_on_after(10, shield=True):
                await self._firewall.remove_network(network)
                await self._driver.remove_bridge(network.bridge)
            self._records.delete(network.id)
            raise
        self._tell(network, "create")
        return network

    def _users(self, network: Network) -> Iterable[Container]:
        known = {c.id: c for c in (*self._live.values(), *self._containers)}
        return (c for c in known.values() if any(e.network_id == network.id for e in c.endpoints))

    # -- leases ----------------------------------------------------------------------------

    def lease(
        self, container: Container, attachments: Sequence[Attachment]
    ) -> tuple[Endpoint, ...]:
        """The container's endpoints, the one with the way out first.

        Nobody else gets these addresses while a record has them, while the container is
        connected, or within a minute from now.
        Raises: NotFound: no such network; Conflict: addresses are taken; InvalidInput.
        """
        endpoints: list[Endpoint] = []
        for attachment in leasing.wanted(container.spec, attachments):
            network = self.get(attachment.network)
            if any(e.network_id == network.id for e in endpoints):
                raise InvalidInput(
                    f"container {container.name} asks for network {network.name} twice",
                    code="network-twice",
                    about=network.name,
                    hint="name each network once",
                )
            endpoint = leasing.endpoint(
                network,
                attachment,
                self._taken(network, container.id),
                container_id=container.id,
                container_name=container.name,
                interface=f"eth{len(endpoints)}",
            )
            self._last[network.id] = endpoint.ipv4
            endpoints.append(endpoint)
        leased = tuple(endpoints)
        until = time.monotonic() + _LEASE_UNRECORDED_S
        self._leases[container.id] = _Lease(container.name, leased, until)
        return leased

    def release(self, container: Container) -> None:
        """Nothing; the container's leases may go to others once its record is gone."""
        self._leases.pop(container.id, None)

    def _taken(self, network: Network, but: str) -> Taken:
        now = time.monotonic()
        self._leases = {i: lease for i, lease in self._leases.items() if lease.until > now}
        holders = [(lease.container_name, lease.endpoints) for lease in self._leases.values()]
        holders += [(c.name, c.endpoints) for c in self._live.values()]
        holders += [(c.name, c.endpoints) for c in self._containers if c.id != but]
        addresses = {
            e.ipv4: name for name, held in holders for e in held if e.network_id == network.id
        }
        return Taken(addresses, self._last.get(network.id, ""))

    def choose_ports(self, container: Container) -> tuple[PortBinding, ...]:
        """The container's ports with every host port chosen.

        Only the open ones are looked at here: whether a fixed one is free matters when the
        container starts, and `publish` finds out.  Raises: Conflict: no port is free.
        """
        chosen: list[PortBinding] = []
        spoken_for = {b.host_port for c in self._containers for b in c.ports}
        option = ""
        if gate := self._naming.gate(container):
            option = gate[0].options.get(HOST_BINDING, "")
        for binding in container.spec.ports:
            own = replace(binding, host_ip=binding.host_ip or option)
            if not own.host_port:
                avoid = spoken_for | {b.host_port for b in chosen}
                own = replace(own, host_port=ports.free_port(own, avoid))
            chosen.append(own)
        return tuple(chosen)

    # -- the life of a container -----------------------------------------------------------

    async def write_hosts(self, directory: Path, container: Container) -> None:
        """Nothing, once hosts, hostname and resolv.conf in the directory are the container's."""
        texts = {
            directory / "hosts": self._naming.hosts_text(container),
            directory / "hostname": hostname(container) + "\n",
            directory / "resolv.conf": self._naming.resolv_text(container),
        }
        await to_thread.run_sync(_rewrite_all, texts)

    async def connect(self, container: Container, pid: int) -> None:
        """Nothing, once the process's namespace has the container's interfaces, and its name is
        known to its peers. For a container without endpoints, only the loopback is brought up.

        Raises: Failed: the kernel refused; NotFound: a network is gone.
        """
        if container.spec.network_mode == "host" or container.spec.network_mode.startswith(
            "container:"
        ):
            return
        await self._driver.attach(pid, self._plugs(container))
        self._live[container.id] = container
        if (view := self._naming.view(container)) is not None:
            await self._names.serve(container.id, pid, view)
        self._directory.add(container.id, container.name, self._naming.named(container))
        for endpoint in container.endpoints:
            self._tell_endpoint("connect", container, endpoint)
        self._refresh_hosts()

    async def publish(self, container: Container) -> None:
        """Nothing, once the container's ports are served.

        Raises: Conflict: port-in-use, saying by whom; InvalidInput: not an address of this host.
        """
        await self._publisher.publish(container.id, self._publications(container))

    async def withdraw(self, container: Container) -> None:
        """Nothing, once the container's ports and names are served no more; to be repeated
        freely. Its leases stay."""
        await self._publisher.unpublish(container.id)
        self._names.stop(container.id)
        self._directory.remove(container.id)
        if self._live.pop(container.id, None) is not None:
            for endpoint in container.endpoints:
                self._tell_endpoint("disconnect", container, endpoint)
            self._refresh_hosts()

    def renamed(self, container: Container) -> None:
        """Nothing; a container that is known here is found by the names it has now."""
        if container.id in self._live:
            self._live[container.id] = container
            self._directory.add(container.id, container.name, self._naming.named(container))
            self._refresh_hosts()

    async def restore(self, containers: Iterable[Container]) -> None:
        """Nothing, once the kernel has everything that the records and these running containers
        need and nothing else of ours: bridges, the firewall's table, resolvers, hosts files."""
        await self.ensure_default()
        running = list(containers)
        for network in self._records:
            await self._driver.ensure_bridge(network)
        plugs = [plug for c in running for plug in self._plugs_left(c)]
        await self._driver.sweep({n.bridge for n in self._records}, {plug.veth for plug in plugs})
        await self._driver.plug_again(plugs)
        for container in running:
            self._live[container.id] = container
            self._directory.add(container.id, container.name, self._naming.named(container))
        published = {c.id: self._publications(c) for c in running}
        every = [p for own in published.values() for p in kernel_part(own)]
        await self._firewall.restore(self._records, every)
        for problem in await self._publisher.adopt(published):
            structlog.get_logger().warning("a port is served, not held", problem=str(problem))
        for container in running:
            await self._serve_again(container)
        self._refresh_hosts()

    async def watch(self) -> None:
        """Never returns: each time somebody deletes our firewall table, it is put back."""
        async for _ in self._firewall.losses():
            structlog.get_logger().warning("the firewall table was deleted; it is put back")
            await self._firewall.ensure()

    async def leave(self) -> None:
        """Nothing, once the kernel has nothing of ours: for an engine that ends while no container
        runs. The records stay, and the next engine's `restore` makes it all again."""
        await self._driver.sweep(set(), set())
        await self._firewall.leave()

    def close(self) -> None:
        """Nothing; what only a running engine serves ends, what the kernel serves goes on."""
        self._publisher.close()
        self._names.stop_all()

    async def obstacles(self) -> Sequence[str]:
        """Chains of other firewalls that keep containers from the outside, for the user to see."""
        return await self._firewall.obstacles()

    async def _serve_again(self, container: Container) -> None:
        """The container's resolver, which ended with the last engine. A container that has just
        ended must not keep the others from being served."""
        if (view := self._naming.view(container)) is not None:
            try:
                await self._names.serve(container.id, container.state.pid, view, again=True)
            except PystackError as error:
                structlog.get_logger().warning(
                    "names are not served", container=container.name, problem=str(error)
                )

    def _publications(self, container: Container) -> Sequence[Published]:
        gate = self._naming.gate(container)
        if gate is None:
            return []
        _, endpoint = gate
        found = []
        for binding in container.ports:
            six = bool(endpoint.ipv6) and ":" in binding.host_ip
            found.append(Published(binding, endpoint.ipv6 if six else endpoint.ipv4))
        return found

    def _name_of(self, container_id: str) -> str:
        found = self._live.get(container_id) or self._containers.get(container_id)
        return found.name if found else short_id(container_id)

    # -- interfaces and names --------------------------------------------------------------

    def _plugs(self, container: Container) -> Sequence[Plug]:
        gate = self._naming.gate(container)
        return [
            Plug(
                network=self.get(endpoint.network_id),
                endpoint=endpoint,
                veth=veth_name(container.id, position),
                default_route=gate is not None and gate[1] is endpoint,
            )
            for position, endpoint in enumerate(container.endpoints)
        ]

    def _plugs_left(self, container: Container) -> Sequence[Plug]:
        try:
            return self._plugs(container)
        except NotFound:
            return []

    def _refresh_hosts(self) -> None:
        """Nothing; soon every running container's hosts file knows of every change until then.

        Not at once, so that of many containers that start together each does not rewrite the
        files of all. Meanwhile the resolver knows already.
        """
        if not self._refreshing:
            self._refreshing = True
            self._tasks.start_soon(self._rewrite_hosts)

    async def _rewrite_hosts(self) -> None:
        await anyio.sleep(_REFRESH_AFTER_S)
        self._refreshing = False
        place = self._settings.data_dir / "containers"
        texts = {
            place / container.id / "hosts": self._naming.hosts_text(container)
            for container in self._live.values()
            if self._naming.named(container)
        }
        async with self._rewriting:
            await to_thread.run_sync(_rewrite_known, texts)

    # -- events ----------------------------------------------------------------------------

    def _tell(self, network: Network, action: str, **attributes: str) -> None:
        self._emit(
            Event(
                type="network",
                action=action,
                id=network.id,
                time=time.time(),
                attributes={"name": network.name, "type": network.driver, **attributes},
            )
        )

    def _tell_endpoint(self, action: str, container: Container, endpoint: Endpoint) -> None:
        if (network := self._records.get(endpoint.network_id)) is not None:
            self._tell(network, action, container=container.id)


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
            Firewall(nftables),
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


def _check_name(name: str, driver: str) -> None:
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise InvalidInput(
            f"{name!r} cannot be the name of a network",
            code="network-name-invalid",
            about=name,
            hint="use letters, digits, dots, dashes and underscores, and none of "
            + ", ".join(_RESERVED),
        )
    if driver not in ("", "bridge"):
        raise InvalidInput(
            f"network {name}: there is no network driver {driver!r}",
            code="no-such-driver",
            about=name,
            hint="only `bridge` networks can be made",
        )


def _rewrite_all(texts: Mapping[Path, str]) -> None:
    for path, text in texts.items():
        hosts.rewrite(path, text)


def _rewrite_known(texts: Mapping[Path, str]) -> None:
    """As `_rewrite_all`, leaving out containers whose files are gone."""
    for path, text in texts.items():
        if path.exists():
            hosts.rewrite(path, text)
