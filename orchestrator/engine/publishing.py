"""The published ports of containers, and how what comes to a shared one is dealt out.

Containers of one group may publish the very same host port: each new connection goes to one of
them, in proportion to their weights. The group is the label `pystack.port-group`, else the
service that Compose's labels name. Who is drained, or stands worse than others (see
`network.sharing`), gets no new connections; what it has goes on, because the kernel decides about
a connection once.

For a rolling update: start the new container with the same port (it shares from its start, or
from its first success where it has a health check), `drain` the old one, wait until `connections`
says 0 or long enough, stop it. Weights and drains are in the containers' records: the next engine
goes on with them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from anyio import to_thread

from orchestrator.engine.traffic import BALANCE_LABEL, GROUP_LABEL, group_of, standing_of
from orchestrator.errors import Conflict, PystackError
from orchestrator.model.container import ContainerSpec, PortBinding
from orchestrator.model.observed import Container
from orchestrator.network import ports, sharing
from orchestrator.network.driver import NetworkDriver
from orchestrator.network.leasing import HOST_BINDING
from orchestrator.network.naming import Naming
from orchestrator.network.publish import Publisher
from orchestrator.network.sharing import Backend, Claim, Front


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """A host port, who claims it, and who gets its new connections now."""

    front: Front
    claims: tuple[Claim, ...]
    backends: tuple[Backend, ...]


class Publishing:
    """`containers` are all that have a record."""

    def __init__(
        self,
        publisher: Publisher,
        naming: Naming,
        driver: NetworkDriver,
        containers: Iterable[Container],
    ) -> None:
        self._publisher = publisher
        self._naming = naming
        self._driver = driver
        self._containers = containers

    def choose_ports(
        self, container: Container, wanted: Sequence[PortBinding] | None = None
    ) -> tuple[PortBinding, ...]:
        """The container's ports (or those wanted) with every host port chosen.

        Only the open ones are looked at here: whether a fixed one is free matters when the
        container starts, and `publish` finds out.  Raises: Conflict: no port is free.
        """
        chosen: list[PortBinding] = []
        spoken_for = {b.host_port for c in self._containers for b in c.ports}
        option = ""
        if way := self._naming.entrance(container):
            option = way[0].options.get(HOST_BINDING, "")
        for binding in container.spec.ports if wanted is None else wanted:
            own = replace(binding, host_ip=ports.address(binding.host_ip or option))
            if not own.host_port or own.host_port_last > own.host_port:
                avoid = spoken_for | {b.host_port for b in chosen}
                own = replace(own, host_port=ports.free_port(own, avoid), host_port_last=0)
            chosen.append(own)
        return tuple(chosen)

    def chosen_again(self, container: Container) -> tuple[PortBinding, ...]:
        """The container's ports, with another host port for each whose place is taken and which
        the container left open.  Raises: Conflict: no port is free."""
        return tuple(self._kept_or_anew(container, binding) for binding in container.ports)

    def _kept_or_anew(self, container: Container, binding: PortBinding) -> PortBinding:
        wish = next((w for w in container.spec.ports if _leaves_open(w, binding)), None)
        if container.spec.publish_all and wish is None:
            wish = replace(binding, host_port=0)
        if wish is None or self._is_free(binding):
            return binding
        return self.choose_ports(container, [replace(wish, host_ip=binding.host_ip)])[0]

    def _is_free(self, binding: PortBinding) -> bool:
        if self._publisher.holds(binding):
            return False
        try:
            _try_to_hold([binding])
        except PystackError:
            return False
        return True

    def check(self, container: Container, gone: Collection[str] = ()) -> None:
        """Nothing, when no other container that runs publishes one of its fixed ports and no other
        process has it: for knowing before anything starts. `gone` are the ids of containers that
        will have ended by then.  Raises: Conflict: port-in-use, saying by whom."""
        fixed = tuple(b for b in container.ports or container.spec.ports if not _is_open(b))
        wish = replace(self.claim(container), bindings=fixed)
        self._publisher.check(wish, gone)
        for binding in fixed:
            if not self._publisher.holds(binding):
                _try_to_hold([binding])

    async def check_wishes(
        self, wishes: Mapping[str, ContainerSpec], gone: Collection[str] = ()
    ) -> None:
        """Nothing, when containers like these, by name, could all publish their fixed ports, once
        the containers whose ids are `gone` have ended: for knowing before anything is changed.

        Raises: Conflict: port-in-use, saying by whom.
        """
        known: dict[tuple[str, int], list[_Wish]] = {}
        free: list[PortBinding] = []
        for name, spec in wishes.items():
            if spec.network_mode in ("host", "none") or ":" in spec.network_mode:
                continue
            fixed = tuple(
                replace(b, host_ip=ports.address(b.host_ip)) for b in spec.ports if not _is_open(b)
            )
            if not fixed:
                continue
            claim = Claim(container_id=name, bindings=fixed, group=group_of(spec))
            self._publisher.check(claim, gone)
            for binding in fixed:
                # Only those of the same number can be in each other's way.
                others = known.setdefault((binding.protocol, binding.host_port), [])
                for other in others:
                    _check_apart(_Wish(claim, binding), other)
                others.append(_Wish(claim, binding))
                if not self._publisher.holds(binding):
                    free.append(binding)
        if free:
            await to_thread.run_sync(_try_to_hold, free)

    async def publish(self, container: Container) -> None:
        """Nothing, once the container's ports, and no others of it, are served.

        Raises: Conflict: port-in-use, saying by whom; InvalidInput: not an address of this host.
        """
        await self._publisher.publish(self.claim(container))

    async def unpublish(self, container_id: str) -> None:
        """Nothing, once none of the container's ports is served; to be repeated freely."""
        await self._publisher.unpublish(container_id)

    async def steer(self, container: Container) -> None:
        """Nothing, once new connections go by the container's weight, drain and health."""
        await self._publisher.steer(
            container.id, weight=container.traffic.weight, standing=standing_of(container)
        )

    async def connections(self, container: Container) -> int:
        """How many connections through published ports the container has now."""
        claim = self.claim(container)
        return await self._driver.connections([a for a in (claim.ipv4, claim.ipv6) if a])

    def published(self) -> list[PublishedPort]:
        """Every host port that is published, in order."""
        found = []
        for front in self._publisher.fronts():
            claims = tuple(self._publisher.behind(front).values())
            found.append(PublishedPort(front, claims, sharing.backends(front, claims)))
        return found

    def claim(self, container: Container) -> Claim:
        """What the container wants of the host's ports; nothing where no way leads in."""
        way = self._naming.entrance(container)
        if way is None:
            return Claim(container_id=container.id, bindings=())
        return Claim(
            container_id=container.id,
            bindings=container.ports,
            ipv4=way[1].ipv4,
            ipv6=way[1].ipv6,
            group=group_of(container.spec),
            weight=container.traffic.weight,
            standing=standing_of(container),
            sticky=container.spec.labels.get(BALANCE_LABEL) == "source",
        )

    def close(self) -> None:
        """Nothing; the ports go on without us."""
        self._publisher.close()


def _try_to_hold(bindings: Iterable[PortBinding]) -> None:
    """Nothing, when nobody else has one of these places (blocking).  Raises: as `ports.hold`."""
    for binding in bindings:
        for one in ports.hold(binding):
            one.close()


class _Wish(NamedTuple):
    """A binding of a container that is to be; its claim has the container's name for an id."""

    claim: Claim
    binding: PortBinding


def _check_apart(wish: _Wish, other: _Wish) -> None:
    name, other_name = wish.claim.container_id, other.claim.container_id
    clash = name != other_name and sharing.overlaps(wish.binding, other.binding)
    if clash and not sharing.may_share(wish.claim, wish.binding, other.claim, other.binding):
        binding = wish.binding
        where = f"{binding.host_ip or '*'}:{binding.host_port}/{binding.protocol}"
        raise Conflict(
            f"{other_name} and {name} both publish the host port {where}",
            code="port-in-use",
            about=where,
            hint=f"give them ports of their own, or both the label {GROUP_LABEL}",
        )


def without(container: Container, gone: Sequence[PortBinding]) -> tuple[PortBinding, ...]:
    """The container's ports but those that match one of `gone`: the same container port and
    protocol, and the same host port where one is named.  Raises: Conflict: nothing matches."""
    kept = []
    matched: set[int] = set()
    for binding in container.ports:
        hits = [n for n, wish in enumerate(gone) if _matches(binding, wish)]
        matched.update(hits)
        if not hits:
            kept.append(binding)
    for number, wish in enumerate(gone):
        if number not in matched:
            raise Conflict(
                f"container {container.name} does not publish {wish.container_port}/{wish.protocol}"
                + (f" at host port {wish.host_port}" if wish.host_port else ""),
                code="port-not-published",
                about=f"{wish.container_port}/{wish.protocol}",
                hint=f"`pystack port {container.name}` lists what it publishes",
            )
    return tuple(kept)


def kept_binding(container: Container, wish: PortBinding) -> PortBinding | None:
    """The port of the container that meets the wish already; None where none does."""
    for binding in container.ports:
        same_place = wish.host_port in (0, binding.host_port) and wish.host_ip == binding.host_ip
        within = wish.host_port <= binding.host_port <= wish.host_port_last
        same_port = (wish.container_port, wish.protocol) == (
            binding.container_port,
            binding.protocol,
        )
        if same_port and (same_place or within):
            return binding
    return None


def _leaves_open(wish: PortBinding, binding: PortBinding) -> bool:
    """Whether the binding came from a wish that left the host port open."""
    same = (wish.container_port, wish.protocol) == (binding.container_port, binding.protocol)
    return same and _is_open(wish)


def _is_open(wish: PortBinding) -> bool:
    return not wish.host_port or wish.host_port_last > wish.host_port


def _matches(binding: PortBinding, wish: PortBinding) -> bool:
    return (
        (binding.container_port, binding.protocol) == (wish.container_port, wish.protocol)
        and wish.host_port in (0, binding.host_port)
        and wish.host_ip in ("", binding.host_ip)
    )
