"""Changing the networks and ports of a container, whether it runs or not.

Holds the container's lock meanwhile, so nothing else starts or ends it, and writes its record: a
change of a running container is done first and recorded then, because its networks are undone
with it if the engine dies in between; one of a stopped container is only recorded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import anyio

from orchestrator.engine.container_records import ContainerRecords
from orchestrator.engine.networks import Networks
from orchestrator.engine.publishing import kept_binding, without
from orchestrator.engine.traffic import checked_weight, standing_of
from orchestrator.engine.wiring import endpoint_on
from orchestrator.errors import Conflict, Denied
from orchestrator.model.container import Attachment, PortBinding
from orchestrator.model.observed import Container, Endpoint, Network

_LOOK_S = 0.2
# A client that was interrupted between being led here and being tracked is not counted yet.
_EMPTY_LOOKS = 2


class Connections:
    """Operations on a container's connections to the world."""

    def __init__(self, records: ContainerRecords, networks: Networks) -> None:
        self._records = records
        self._networks = networks

    async def connect(self, reference: str, attachment: Attachment) -> None:
        """Nothing, once the container is on the network.

        Raises: NotFound; Conflict: it is on it already, or an address is taken; Denied: the
        network is no place to be connected to; InvalidInput.
        """
        network = self._networks.get(attachment.network)

        async def join(container: Container) -> Container:
            _check_joinable(container, network)
            endpoint = self._networks.leases.lease_another(container, attachment)
            after = replace(container, endpoints=(*container.endpoints, endpoint))
            if container.running:
                await self._networks.wiring.plug_in(container, after)
                try:
                    await self._networks.publish(after)
                except BaseException:
                    with anyio.move_on_after(10, shield=True):
                        await self._networks.wiring.unplug(after, container)
                    raise
            return after

        after = await self._changed(reference, join)
        self._tell(after, network, "connect")

    async def disconnect(self, network_reference: str, reference: str, *, force: bool) -> None:
        """Nothing, once the container is not on the network, which may be gone itself; with `force`
        one that is not on it is no error.

        Raises: NotFound; Conflict: it is not on it.
        """
        network = self._networks.find(network_reference)
        left_on = {e.network_name for e in self._records.get(reference).endpoints}
        if network is None and network_reference not in left_on:
            self._networks.get(network_reference)

        async def part(container: Container) -> Container:
            endpoint = _its_endpoint(container, network, network_reference)
            left = tuple(e for e in container.endpoints if e is not endpoint)
            after = replace(container, endpoints=left)
            if container.running:
                # First to nobody, then to the next network that leads in.
                await self._networks.publishing.unpublish(container.id)
                await self._networks.wiring.unplug(container, after)
                await self._networks.publish(after)
            return after

        if force and network is not None:
            known = {c.id for c in self._networks.users(network)}
            if self._records.get(reference).id not in known:
                return
        after = await self._changed(reference, part)
        if network is not None:
            self._tell(after, network, "disconnect")

    async def publish(self, reference: str, ports: Sequence[PortBinding]) -> Container:
        """The container, which publishes these ports as well, at once where it runs.

        Raises: NotFound; Conflict: port-in-use, saying by whom; InvalidInput.
        """

        async def add(container: Container) -> Container:
            if container.spec.network_mode in ("host", "none") or not container.endpoints:
                raise Conflict(
                    f"container {container.name} has no network of its own to publish ports of",
                    code="no-network-to-publish",
                    about=container.name,
                    hint="connect it to a network",
                )
            fresh = self._networks.publishing.choose_ports(container, ports)
            added = tuple(b for b in fresh if b not in container.ports)
            after = replace(container, ports=(*container.ports, *added))
            if container.running:
                await self._networks.publish(after)
            return after

        return await self._changed(reference, add)

    async def unpublish(self, reference: str, ports: Sequence[PortBinding]) -> Container:
        """The container, which does not publish these ports any more.

        Raises: NotFound; Conflict: it does not publish one of them.
        """

        async def take(container: Container) -> Container:
            after = replace(container, ports=without(container, ports))
            if container.running:
                await self._networks.publish(after)
            return after

        return await self._changed(reference, take)

    async def republish(self, reference: str, wanted: Sequence[PortBinding]) -> Container:
        """The container, which publishes these ports and no others; host ports that were chosen
        for open ones stay.

        Raises: NotFound; Conflict: port-in-use, saying by whom.
        """

        async def change(container: Container) -> Container:
            kept = [kept_binding(container, wish) for wish in wanted]
            missing = [w for w, binding in zip(wanted, kept, strict=True) if binding is None]
            fresh = self._networks.publishing.choose_ports(container, missing)
            after = replace(container, ports=(*(b for b in kept if b is not None), *fresh))
            if container.running:
                await self._networks.publish(after)
            return after

        return await self._changed(reference, change)

    async def set_weight(self, reference: str, weight: int) -> Container:
        """The container, which gets new connections to ports that it shares by this weight.

        Raises: NotFound; InvalidInput.
        """
        checked_weight(weight)
        return await self._steered(reference, lambda t: replace(t, weight=weight))

    async def drain(self, reference: str) -> Container:
        """The container, which gets no new connections; those that it has go on.  Raises:
        NotFound."""
        return await self._steered(reference, lambda t: replace(t, drained=True))

    async def undrain(self, reference: str) -> Container:
        """The container, which gets new connections again.  Raises: NotFound."""
        return await self._steered(reference, lambda t: replace(t, drained=False))

    async def count(self, reference: str) -> int:
        """How many connections by published ports the container has.  Raises: NotFound."""
        return await self._networks.publishing.connections(self._records.get(reference))

    async def emptied(self, reference: str, timeout_s: float) -> bool:
        """Whether the container had no connection left before `timeout_s` seconds were over."""
        deadline = anyio.current_time() + timeout_s
        empty = 0
        # The kernel has no cheap way of telling that a connection has ended.
        while True:
            left = await self.count(reference)
            empty = 0 if left else empty + 1
            if empty == _EMPTY_LOOKS or anyio.current_time() >= deadline:
                return not left
            await anyio.sleep(_LOOK_S)

    async def _steered(self, reference: str, change: Callable[..., object]) -> Container:
        async def steer(container: Container) -> Container:
            after = replace(container, traffic=change(container.traffic))  # type: ignore[arg-type]
            # The record first: the next engine must not let in whom this one has shut out.
            self._records.put(replace(self._records.get(container.id), traffic=after.traffic))
            self._networks.wiring.stand(after.id, standing_of(after))
            await self._networks.publishing.steer(after)
            return after

        return await self._changed(reference, steer)

    async def _changed(
        self, reference: str, change: Callable[[Container], Awaitable[Container]]
    ) -> Container:
        identifier = self._records.get(reference).id
        async with self._records.lock(identifier):
            with anyio.CancelScope(shield=True):
                after = await change(self._records.get(identifier))
            # Its state may have been changed meanwhile, by its end for one.
            now = self._records.get(identifier)
            return self._records.put(
                replace(now, endpoints=after.endpoints, ports=after.ports, traffic=after.traffic)
            )

    def _tell(self, container: Container, network: Network, action: str) -> None:
        self._networks.tell(network, action, container=container.id)


def _check_joinable(container: Container, network: Network) -> None:
    mode = container.spec.network_mode
    if network.driver in ("host", "null"):
        raise Denied(
            f"container cannot be connected to network {network.name}",
            code="network-not-joinable",
            about=network.name,
            hint="`pystack run --network` chooses it when the container is made",
        )
    if mode in ("host", "none") or mode.startswith("container:"):
        raise Denied(
            f"container {container.name} has network mode {mode} and cannot be connected",
            code="network-not-joinable",
            about=container.name,
            hint="make it anew without that mode",
        )
    if endpoint_on(container, network) is not None:
        raise Denied(
            f"container {container.name} is already on network {network.name}",
            code="already-connected",
            about=container.name,
            hint="disconnect it first to change its addresses",
        )


def _its_endpoint(container: Container, network: Network | None, reference: str) -> Endpoint:
    for endpoint in container.endpoints:
        if network is not None and endpoint.network_id == network.id:
            return endpoint
        if network is None and reference in (endpoint.network_name, endpoint.network_id):
            return endpoint
    raise Conflict(
        f"container {container.name} is not connected to network {reference}",
        code="not-connected",
        about=container.name,
        hint=f"`pystack network inspect {reference}` shows who is",
    )
