"""What each container is told about names: its hosts file, its resolv.conf, its resolver's view."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from orchestrator.model.ids import short_id
from orchestrator.model.observed import Container, Endpoint, Network
from orchestrator.network import hosts
from orchestrator.network.directory import Directory
from orchestrator.network.dns import Found, View
from orchestrator.network.leasing import DEFAULT_NETWORK

RESOLV = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))


class Naming:
    """Answers from the records as they are at the time of asking.

    `network` finds a network's record by id; `containers` are all containers with a record,
    whether they run or not; `directory` knows those that run.
    """

    def __init__(
        self,
        directory: Directory,
        network: Callable[[str], Network | None],
        containers: Iterable[Container],
        resolv_files: Sequence[Path] = RESOLV,
    ) -> None:
        self._directory = directory
        self._network = network
        self._containers = containers
        self._resolv_files = resolv_files

    def gate(self, container: Container) -> tuple[Network, Endpoint] | None:
        """The network and endpoint that the container's way out leads through: of the highest
        gateway priority, the first among equals; None where all its networks are internal."""
        outward = [(n, e) for n, e in self.networks(container) if not n.internal]
        return max(outward, key=lambda way: way[1].gw_priority, default=None)

    def gate6(self, container: Container) -> tuple[Network, Endpoint] | None:
        """The same for IPv6."""
        outward = [(n, e) for n, e in self.networks(container) if not n.internal and e.ipv6]
        return max(outward, key=lambda way: way[1].gw_priority, default=None)

    def entrance(self, container: Container) -> tuple[Network, Endpoint] | None:
        """The network and endpoint that published ports lead to: the way out, unless that is none
        of ours, then the first bridge; None where there is none that is not internal."""
        inward = [
            (n, e) for n, e in self.networks(container) if n.driver == "bridge" and not n.internal
        ]
        return max(inward, key=lambda way: way[1].gw_priority, default=None)

    def networks(self, container: Container) -> list[tuple[Network, Endpoint]]:
        """The container's endpoints with their networks, those that are gone left out."""
        found = ((self._network(e.network_id), e) for e in container.endpoints)
        return [(n, e) for n, e in found if n is not None]

    def named(self, container: Container) -> list[Endpoint]:
        """The endpoints on networks that serve names: all but the default one."""
        return [e for n, e in self.networks(container) if n.name != DEFAULT_NETWORK]

    def view(self, container: Container) -> View | None:
        """What the container's resolver knows; None where it has none of its own."""
        named = self.named(container)
        ids = [e.network_id for e in named]
        linked = _linked(named)
        host = self._host_resolv()
        if not container.endpoints:
            return None
        if not ids and (container.spec.dns or host.usable_servers()):
            return None
        # A network without a way out must not leak through its resolver.
        outward = self.gate(container) is not None

        def lookup(name: str) -> Found | None:
            found = self._directory.lookup(ids, name) if name.lower() not in linked else []
            for network_id, real in linked.get(name.lower(), ()):
                if found := self._directory.lookup([network_id], real):
                    break
            if not found:
                return Found() if self._is_down(ids, name) else None
            return Found(
                tuple(e.endpoint.ipv4 for e in found if e.endpoint.ipv4),
                tuple(e.endpoint.ipv6 for e in found if e.endpoint.ipv6),
            )

        def servers() -> Sequence[str]:
            # Read each time: the host's name servers change while containers run.
            return (container.spec.dns or self._host_resolv().servers) if outward else ()

        return View(
            lookup,
            lambda address: self._directory.name_of(ids, address),
            servers,
            lambda: self._directory.version,
        )

    def _is_down(self, network_ids: Sequence[str], name: str) -> bool:
        """Whether the name is that of a container which does not run: then no other name server
        is asked, who could only be slow or wrong about it."""
        return "." not in name and any(
            endpoint.network_id in network_ids and name in map(str.lower, endpoint.names)
            for container in self._containers
            for endpoint in container.endpoints
        )

    def hosts_text(self, container: Container) -> str:
        """The text of the container's /etc/hosts, with the peers that run now."""
        gate = self.gate(container)
        first = container.endpoints[0] if container.endpoints else None
        network = gate[0] if gate else self._network(first.network_id) if first else None
        spec = container.spec
        addresses = [a for e in container.endpoints for a in (e.ipv4, e.ipv6)]
        return hosts.hosts_text(
            hostname=hostname(container),
            domainname=spec.domainname,
            addresses=addresses,
            extra_hosts=spec.extra_hosts,
            gateway=network.gateway if network else "127.0.0.1",
            peers=[*self._linked_lines(container), *self._peers(container)],
        )

    def _peers(self, container: Container) -> list[str]:
        return [self._directory.peers(e.network_id) for e in self.named(container)]

    def _linked_lines(self, container: Container) -> Iterator[str]:
        """The lines of a hosts file for the container's links: the only names that there are on
        the default network."""
        for endpoint in container.endpoints:
            for link in endpoint.links:
                name, alias = split_link(link)
                for other in self._containers:
                    if name in (other.name, other.id, short_id(other.id)) and other.running:
                        yield from (
                            f"{address}\t{' '.join(dict.fromkeys((alias, other.name)))}\n"
                            for e in other.endpoints
                            if e.network_id == endpoint.network_id
                            for address in (e.ipv4, e.ipv6)
                            if address
                        )

    def resolv_text(self, container: Container) -> str:
        """The text of the container's /etc/resolv.conf."""
        spec, host = container.spec, self._host_resolv()
        if not container.endpoints:
            own = hosts.Resolv(
                spec.dns or host.servers, spec.dns_search or host.search, spec.dns_opt
            )
            return hosts.resolv_text(own)
        return hosts.resolv_text(
            hosts.resolv_inside(
                host,
                named=self.view(container) is not None,
                search=spec.dns_search,
                options=spec.dns_opt,
                servers=spec.dns,
            )
        )

    def _host_resolv(self) -> hosts.Resolv:
        """The host's resolv.conf; the one behind it where it names only systemd's own resolver,
        which containers cannot reach."""
        found = hosts.Resolv()
        for path in self._resolv_files:
            try:
                read = hosts.parse_resolv(path.read_text())
            except OSError:
                continue
            if read.usable_servers():
                return read
            found = found if found.servers else read
        return found


def split_link(link: str) -> tuple[str, str]:
    """The container's name and the alias in NAME:ALIAS; one that stands alone is both."""
    name, _, alias = link.partition(":")
    name = name.strip("/")
    return name, alias.rpartition("/")[2] or name


def _linked(endpoints: Iterable[Endpoint]) -> dict[str, list[tuple[str, str]]]:
    """Alias to the networks and the real name that it stands for on each."""
    found: dict[str, list[tuple[str, str]]] = {}
    for endpoint in endpoints:
        for name, alias in map(split_link, endpoint.links):
            found.setdefault(alias.lower(), []).append((endpoint.network_id, name))
    return found


def hostname(container: Container) -> str:
    """The name the container has for itself: the one it was given, else its short id."""
    return container.spec.hostname or short_id(container.id)
