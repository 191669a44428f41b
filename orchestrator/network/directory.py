"""Who has which name on which network: running containers only. Pure.

Names are found without regard to case. On each network a container answers to its name, its
aliases and its short id, and to each of them followed by the network's name. Of those who share a
name, the ones that stand best answer to it (see `sharing`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from orchestrator.model.observed import Endpoint
from orchestrator.network.sharing import Standing


@dataclass(frozen=True, slots=True)
class Entry:
    """A container's presence on one network."""

    container_id: str
    container_name: str
    endpoint: Endpoint


@dataclass(slots=True)
class _Zone:
    """One network: by name, by address, and as text, None until it is asked for."""

    names: dict[str, list[Entry]] = field(default_factory=dict)
    addresses: dict[str, Entry] = field(default_factory=dict)
    lines: str | None = None


class Directory:
    """The names of every network; another `version` with every change of them."""

    def __init__(self) -> None:
        self._zones: dict[str, _Zone] = {}
        self._entries: dict[str, list[Entry]] = {}
        self._standings: dict[str, Standing] = {}
        self._turn = 0
        self.version = 0

    def add(self, container_id: str, container_name: str, endpoints: Iterable[Endpoint]) -> None:
        """Nothing; the container is known by these endpoints and no others."""
        standing = self._standings.get(container_id)
        self.remove(container_id)
        entries = [Entry(container_id, container_name, e) for e in endpoints]
        self._entries[container_id] = entries
        self.version += 1
        if standing is not None:
            self._standings[container_id] = standing
        for entry in entries:
            zone = self._zones.setdefault(entry.endpoint.network_id, _Zone())
            zone.lines = None
            for name in _spellings(entry.endpoint):
                zone.names.setdefault(name, []).append(entry)
            for address in (entry.endpoint.ipv4, entry.endpoint.ipv6):
                if address:
                    zone.addresses[address] = entry

    def remove(self, container_id: str) -> None:
        """Nothing; a container that is not known is no error."""
        self.version += 1
        self._standings.pop(container_id, None)
        for entry in self._entries.pop(container_id, ()):
            zone = self._zones[entry.endpoint.network_id]
            zone.lines = None
            for name in _spellings(entry.endpoint):
                zone.names[name].remove(entry)
                if not zone.names[name]:
                    del zone.names[name]
            for address in (entry.endpoint.ipv4, entry.endpoint.ipv6):
                if zone.addresses.get(address) is entry:
                    del zone.addresses[address]
            if not zone.names and not zone.addresses:
                del self._zones[entry.endpoint.network_id]

    def stand(self, container_id: str, standing: Standing) -> bool:
        """Whether that is news: how well the container answers from now on. One that is not known
        is no error."""
        before = self._standings.pop(container_id, Standing.READY)
        self.version += 1
        if container_id in self._entries and standing is not Standing.READY:
            self._standings[container_id] = standing
        return before is not standing

    def lookup(self, network_ids: Iterable[str], name: str) -> list[Entry]:
        """Everybody of that name who stands best, on the first of the networks that knows it, each
        time another one first."""
        for network_id in network_ids:
            zone = self._zones.get(network_id)
            if zone is not None and (found := zone.names.get(name.lower())):
                if len(found) == 1:
                    return found
                found = self._best(found)
                self._turn += 1
                start = self._turn % len(found)
                return found[start:] + found[:start]
        return []

    def _best(self, found: list[Entry]) -> list[Entry]:
        if not self._standings:
            return found
        standings = [self._standings.get(e.container_id, Standing.READY) for e in found]
        best = min(standings)
        return [e for e, standing in zip(found, standings, strict=True) if standing == best]

    def name_of(self, network_ids: Iterable[str], address: str) -> str:
        """The name of who has the address there, as NAME.NETWORK; "" where nobody has."""
        for network_id in network_ids:
            zone = self._zones.get(network_id)
            if zone is not None and (entry := zone.addresses.get(address)):
                return f"{entry.container_name}.{entry.endpoint.network_name}"
        return ""

    def peers(self, network_id: str) -> str:
        """The network's lines of a hosts file: each address with the names that only it has.

        A name that several share is left out: whoever reads it from a file would always get the
        same one, where the resolver takes them in turn.
        """
        zone = self._zones.get(network_id)
        if zone is None:
            return ""
        if zone.lines is None:
            lines = []
            for address, entry in zone.addresses.items():
                names = [n for n in entry.endpoint.names if len(zone.names[n.lower()]) == 1]
                if names:
                    lines.append(f"{address}\t{' '.join(names)}\n")
            zone.lines = "".join(lines)
        return zone.lines


def _spellings(endpoint: Endpoint) -> Iterator[str]:
    for name in dict.fromkeys(n.lower() for n in endpoint.names):
        yield name
        yield f"{name}.{endpoint.network_name.lower()}"
