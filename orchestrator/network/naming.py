"""What each container is told about names: its hosts file, its resolv.conf, its resolver's view."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from orchestrator.model.ids import short_id
from orchestrator.model.observed import Container, Endpoint, Network
from orchestrator.network import hosts
from orchestrator.network.directory import Directory
from orchestrator.network.dns import Found, View
from orchestrator.network.driver import DEFAULT_BRIDGE

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
        """The network and endpoint that the container's way out leads through, and published
        ports' way in; None where all its networks are internal."""
        for endpoint in container.endpoints:
            network = self._network(endpoint.network_id)
            if network is not None and not network.internal:
                return network, endpoint
        return None

    def named(self, container: Container) -> list[Endpoint]:
        """The endpoints on networks that serve names: all but the default one."""
        networks = ((self._network(e.network_id), e) for e in container.endpoints)
        return [e for n, e in networks if n is not None and n.bridge != DEFAULT_BRIDGE]

    def view(self, container: Container) -> View | None:
        """What the container's resolver knows; None where it has none of its own."""
        ids = [e.network_id for e in self.named(container)]
        host = self._host_resolv()
        if not container.endpoints:
            return None
        if not ids and (container.spec.dns or host.usable_servers()):
            return None
        # A network without a way out must not leak through its resolver.
        outward = self.gate(container) is not None

        def lookup(name: str) -> Found | None:
            found = self._directory.lookup(ids, name)
            if not found:
                return Found() if self._is_down(ids, name) else None
            return Found(
                tuple(e.endpoint.ipv4 for e in found if e.endpoint.ipv4),
                tuple(e.endpoint.ipv6 for e in found if e.endpoint.ipv6),
            )

        def servers() -> Sequence[str]:
            # Read each time: the host's name servers change while containers run.
            return (container.spec.dns or self._host_resolv().servers) if outward else ()

        return View(lookup, lambda address: self._directory.name_of(ids, address), servers)

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
            peers=[self._directory.peers(e.network_id) for e in self.named(container)],
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


def hostname(container: Container) -> str:
    """The name the container has for itself: the one it was given, else its short id."""
    return container.spec.hostname or short_id(container.id)
