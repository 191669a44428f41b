"""The addresses of containers: who has which, and that nobody is given one that another has.

A lease needs no book of its own: what a container's record says it has, it has. Between the choice
and the record stands only this object's memory, for a minute, so an engine that dies there has
given nothing away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.errors import InvalidInput
from orchestrator.model.container import Attachment
from orchestrator.model.observed import Container, Endpoint, Network
from orchestrator.network import leasing
from orchestrator.network.leasing import Taken

_UNRECORDED_S = 60.0


@dataclass(slots=True)
class _Lease:
    """Endpoints given out that no record has yet."""

    container_name: str
    endpoints: tuple[Endpoint, ...]
    until: float


class Leases:
    """The leases of every network.

    `network` finds a network by name or id; `records` are all containers that have a record;
    `live` those whose interfaces are up, recorded or not (the steps of a build are not).
    """

    def __init__(
        self,
        network: Callable[[str], Network],
        records: Iterable[Container],
        live: Mapping[str, Container],
    ) -> None:
        self._network = network
        self._records = records
        self._live = live
        self._unrecorded: dict[str, _Lease] = {}
        self._last: dict[str, str] = {}

    def lease(
        self, container: Container, attachments: Sequence[Attachment]
    ) -> tuple[Endpoint, ...]:
        """The container's endpoints, in the order of their interfaces.

        Nobody else gets these addresses while a record has them, while the container is
        connected, or within a minute from now.
        Raises: NotFound: no such network; Conflict: addresses are taken; InvalidInput.
        """
        endpoints: list[Endpoint] = []
        for attachment in leasing.wanted(container.spec, attachments):
            endpoints.append(self._one(container, attachment, endpoints))
        self._remember(container, tuple(endpoints))
        return tuple(endpoints)

    def lease_another(self, container: Container, attachment: Attachment) -> Endpoint:
        """One more endpoint for a container that has some.  Raises: as `lease`."""
        endpoint = self._one(container, attachment, container.endpoints)
        self._remember(container, (endpoint,))
        return endpoint

    def release(self, container: Container) -> None:
        """Nothing; the container's leases may go to others once its record is gone."""
        self._unrecorded.pop(container.id, None)

    def _one(
        self, container: Container, attachment: Attachment, others: Sequence[Endpoint]
    ) -> Endpoint:
        network = self._network(attachment.network)
        if any(e.network_id == network.id for e in others):
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
            interface=leasing.interface_for(network, attachment, others),
            slot=leasing.slot_for(others),
        )
        self._last[network.id] = endpoint.ipv4
        return endpoint

    def _remember(self, container: Container, endpoints: tuple[Endpoint, ...]) -> None:
        until = time.monotonic() + _UNRECORDED_S
        self._unrecorded[container.id] = _Lease(container.name, endpoints, until)

    def _taken(self, network: Network, but: str) -> Taken:
        now = time.monotonic()
        self._unrecorded = {i: one for i, one in self._unrecorded.items() if one.until > now}
        holders = [(one.container_name, one.endpoints) for one in self._unrecorded.values()]
        holders += [(c.name, c.endpoints) for c in self._live.values()]
        holders += [(c.name, c.endpoints) for c in self._records if c.id != but]
        addresses = {
            address: name
            for name, held in holders
            for endpoint in held
            if endpoint.network_id == network.id
            for address in (endpoint.ipv4, endpoint.ipv6)
            if address
        }
        return Taken(addresses, self._last.get(network.id, ""))
