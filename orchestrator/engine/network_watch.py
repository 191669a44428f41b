"""Putting back what somebody else takes from our networks while containers run: firewall rules,
bridges, addresses, interfaces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import structlog

from orchestrator.engine.wiring import Wiring
from orchestrator.errors import PystackError
from orchestrator.model.observed import Container, Network
from orchestrator.network.driver import NetworkDriver
from orchestrator.network.firewall import Firewall
from orchestrator.state.records import Records

# A container that ends takes its interface along; it has been withdrawn when we look.
_SETTLING_S = 0.2


class NetworkWatch:
    """Looks after everything of ours in the kernel."""

    def __init__(
        self,
        networks: Records[Network],
        containers: Records[Container],
        driver: NetworkDriver,
        firewall: Firewall,
        wiring: Wiring,
    ) -> None:
        self._networks = networks
        self._containers = containers
        self._driver = driver
        self._firewall = firewall
        self._wiring = wiring
        self._going: set[str] = set()

    async def run(self) -> None:
        """Never returns."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch_firewall)
            tasks.start_soon(self._watch_links)

    async def _watch_firewall(self) -> None:
        async for _ in self._firewall.losses():
            structlog.get_logger().warning("the firewall table was changed; it is put back")
            try:
                await self._firewall.ensure()
            except PystackError as error:
                structlog.get_logger().warning("it cannot be put back", problem=str(error))

    async def _watch_links(self) -> None:
        async for _ in self._driver.losses(lambda: [n.bridge for n in self._networks]):
            await anyio.sleep(_SETTLING_S)
            try:
                await self.mend()
            except PystackError as error:
                structlog.get_logger().warning("a network is damaged", problem=str(error))

    async def mend(self) -> None:
        """Nothing, once every network's bridge is up with its addresses, and every running
        container is plugged into those of its networks.  Raises: Failed."""
        log = structlog.get_logger()
        bridged = [n for n in self._networks if n.driver == "bridge"]
        for network in await self._driver.damaged(bridged):
            if self._is_to_stay(network):
                log.warning("a bridge was changed; it is put back", network=network.name)
                await self._driver.ensure(network)
                if not self._is_to_stay(network):
                    await self._driver.remove(network)
        for name in await self._wiring.mend(self._containers.get):
            log.warning("a lost interface is made again", container=name)

    @contextmanager
    def left_alone(self, network: Network) -> Iterator[None]:
        """While the block lasts, nothing of the network is put back: it is being removed."""
        self._going.add(network.id)
        try:
            yield
        finally:
            self._going.discard(network.id)

    def _is_to_stay(self, network: Network) -> bool:
        return network.id not in self._going and self._networks.get(network.id) is not None
