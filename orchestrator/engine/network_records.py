"""Operations on networks: finding them, making and removing them.

The only writer of network records.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import anyio

from orchestrator.engine.network_drafts import check_name, decided
from orchestrator.engine.network_watch import NetworkWatch
from orchestrator.errors import Conflict, Denied, InvalidInput, NotFound
from orchestrator.model.events import Event
from orchestrator.model.ids import new_id
from orchestrator.model.observed import Container, Endpoint, Network
from orchestrator.model.subnet import Subnet
from orchestrator.network.driver import DEFAULT_BRIDGE, NetworkDriver
from orchestrator.network.firewall import Firewall
from orchestrator.network.ipam import Net4
from orchestrator.network.leasing import BUILT_IN, DEFAULT_NETWORK
from orchestrator.settings import Settings
from orchestrator.state.database import Database


class NetworkRecords:
    """Every network's record, and its interface; `live` are the containers whose interfaces are
    up."""

    def __init__(
        self,
        database: Database,
        driver: NetworkDriver,
        firewall: Firewall,
        settings: Settings,
        emit: Callable[[Event], None],
        live: Mapping[str, Container],
        watch: NetworkWatch,
    ) -> None:
        self._records = database.networks
        self._containers = database.containers
        self._driver = driver
        self._firewall = firewall
        self._settings = settings
        self._emit = emit
        self._live = live
        self._watch = watch
        self._making = anyio.Lock()

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

    def ids(self) -> dict[str, str]:
        """The ids of the networks that carry nothing, `host` and `none`, by name."""
        found = (self._records.named(name) for name in ("host", "none"))
        return {network.name: network.id for network in found if network is not None}

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
        known = {c.id: c for c in (*self._live.values(), *self._containers)}
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
